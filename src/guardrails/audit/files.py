"""
A directory of JSONL files, one for each stream.

Rules. A file is created by its writer and by nobody else (O_EXCL), only ever appended to (O_APPEND), and readable by
its owner only. A line that was torn is the last of its file: whoever fails here is never written to again. What was
accepted lies under the file's name: one that was deleted or replaced under us is a failure.
"""

from __future__ import annotations

import contextlib
import os
import time
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

SUFFIX: Final = ".jsonl"
_LOOK_EVERY_SECONDS: Final = 0.25  # without `durable`, a look at the name costs as much as a write
_FLAGS: Final = (
    os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
)


class JsonlDirectory:
    """
    Writes each stream to `<folder>/<timestamp>-<stream>.jsonl`.

    Args:
        folder: Created with mode 0700 when the first stream opens, with its parents.
    """

    __slots__ = ("_fd", "_identity", "_looked", "_path", "folder")

    def __init__(self, folder: str | Path) -> None:
        self.folder: Path = Path(folder)
        self._fd: int | None = None
        self._path: Path | None = None
        self._identity: tuple[int, int] = (0, 0)
        self._looked = 0.0

    @property
    def path(self) -> Path | None:
        """The file of the open stream."""
        return self._path

    def open(self, stream: str, /) -> None:
        """Create the stream's file, so that a power cut cannot take its name away."""
        self.close()
        make_folder(self.folder)
        name = f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{stream}{SUFFIX}"
        path = self.folder.absolute() / name  # the working directory may change later
        fd = os.open(path, _FLAGS, 0o600)
        try:
            status = os.fstat(fd)
            sync_folder(self.folder)
        except BaseException:
            os.close(fd)
            raise
        self._fd, self._path, self._identity, self._looked = fd, path, (status.st_dev, status.st_ino), 0.0

    def write(self, lines: Sequence[bytes], /, *, durable: bool) -> None:
        """
        Append *lines* in one write, if the system takes them in one.

        Raises:
            OSError: The disk is full, the file is gone, ...
        """
        fd = self._fd
        if fd is None:
            raise OSError("no stream is open")
        data = lines[0] if len(lines) == 1 else b"".join(lines)
        written = os.write(fd, data)
        while written < len(data):  # a full disk takes a part, and says why only when asked again
            more = os.write(fd, data[written:])
            if not more:
                raise OSError("the file takes no more")
            written += more
        if durable:
            os.fsync(fd)
            self._look()
        elif (now := time.monotonic()) - self._looked > _LOOK_EVERY_SECONDS:
            self._look()
            self._looked = now

    def close(self) -> None:
        """Close the file of the open stream."""
        fd, self._fd, self._path = self._fd, None, None
        if fd is not None:
            os.close(fd)

    def _look(self) -> None:
        if self._path is None:
            raise OSError("no stream is open")
        status = self._path.stat(follow_symlinks=False)
        if (status.st_dev, status.st_ino) != self._identity:
            raise OSError("the audit file was replaced under its writer")

    def __repr__(self) -> str:
        return f"JsonlDirectory({str(self.folder)!r})"


def make_folder(folder: Path) -> None:
    """Create *folder* and its parents, mode 0700, so that a power cut cannot take them away."""
    missing = [parent for parent in (folder, *folder.parents) if not parent.exists()]
    for parent in reversed(missing):
        with contextlib.suppress(FileExistsError):  # two processes may start together
            parent.mkdir(mode=0o700)
    for parent in missing:
        sync_folder(parent.parent)


def sync_folder(folder: Path) -> None:
    """Put the names in *folder* on stable storage."""
    if os.name != "posix":  # elsewhere a directory cannot be opened, and needs no sync
        return
    fd = os.open(folder, os.O_RDONLY | getattr(os, "O_DIRECTORY", 0))
    try:
        os.fsync(fd)
    finally:
        os.close(fd)
