"""
A directory of JSONL files, one for each stream.

Rules. A file is created by its writer and by nobody else (O_EXCL), only ever appended to (O_APPEND), and readable by
its owner only. A line that was torn is the last of its file: whoever fails here is never written to again. What was
accepted lies under the file's name: one that was deleted or replaced under us is a failure.
"""

from __future__ import annotations

import logging
import os
import time
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

from guardrails.audit.folder import SUFFIX, make_folder, sync_folder
from guardrails.audit.found import NOTHING, Expired, Found
from guardrails.audit.housekeeping import Housekeeping
from guardrails.audit.locks import lock
from guardrails.audit.tails import last_lines, last_written, newest_streams, unclosed_streams
from guardrails.core import forks
from guardrails.errors import ConfigError

_LOOK_EVERY_SECONDS: Final = 0.25  # without `durable`, a look at the name costs as much as a write
_TAILS: Final = 16  # files whose ends are read back: other processes may write to the same folder
_FLAGS: Final = (
    os.O_WRONLY | os.O_APPEND | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
)
_log: Final = logging.getLogger("guardrails.audit")


class JsonlDirectory:
    """
    Writes each stream to `<folder>/<timestamp>-<stream>.jsonl`.

    Args:
        folder: Created with mode 0700 when the first stream opens, with its parents.
        rotate_bytes: A stream of this size is closed, and a new one begun. The last write may go beyond.
        rotate_seconds: A stream of this age is closed, at the next write.
        compress: Whether closed streams are compressed, in the background, to `*.jsonl.gz`.
        retain_days: How long a stream is kept after its last record; then it is removed, with a tombstone on record.
            None: nothing is ever removed.

    Raises:
        ConfigError: A bound is of no use.
    """

    __slots__ = (
        "__weakref__",
        "_fd",
        "_found",
        "_housekeeping",
        "_identity",
        "_looked",
        "_opened",
        "_path",
        "_size",
        "folder",
        "rotate_bytes",
        "rotate_seconds",
    )

    def __init__(
        self,
        folder: str | os.PathLike[str],
        *,
        rotate_bytes: int = 268_435_456,
        rotate_seconds: float = 86_400.0,
        compress: bool = False,
        retain_days: int | None = None,
    ) -> None:
        if type(rotate_bytes) is not int or rotate_bytes < 1:
            raise ConfigError("JsonlDirectory(rotate_bytes=...) must be an int of at least 1")
        if isinstance(rotate_seconds, bool) or not isinstance(rotate_seconds, (int, float)) or not rotate_seconds > 0:
            raise ConfigError("JsonlDirectory(rotate_seconds=...) must be a number of seconds above 0")
        if retain_days is not None and (type(retain_days) is not int or retain_days < 1):
            raise ConfigError("JsonlDirectory(retain_days=...) must be None or an int of at least 1")
        self.folder: Path = Path(folder)
        self.rotate_bytes: int = rotate_bytes
        self.rotate_seconds: float = float(rotate_seconds)
        self._housekeeping = Housekeeping(compress=compress, retain_days=retain_days)
        self._fd: int | None = None
        self._path: Path | None = None
        self._identity: tuple[int, int] = (0, 0)
        self._looked = 0.0
        self._opened = 0.0
        self._size = 0
        self._found: Found | None = None  # None: never opened in this process, so it has not been looked for torn streams
        forks.watch_in_child(self)

    @property
    def retain_days(self) -> int | None:
        """How long streams are kept after their last record; None for ever."""
        return self._housekeeping.retain_days

    @property
    def path(self) -> Path | None:
        """The file of the open stream."""
        return self._path

    def open(self, stream: str, /) -> None:
        """Create the stream's file, so that a power cut cannot take its name away."""
        self.close()
        make_folder(self.folder)
        folder = self.folder.absolute()  # the working directory may change later
        unclosed = unclosed_streams(folder) if self._found is None else ()
        self._found = Found(streams=newest_streams(folder), unclosed=unclosed)
        if unclosed:
            torn = sum(one.tail_bytes > 0 for one in unclosed)
            _log.warning(
                "the audit folder holds %d streams without an end, %d of them cut in a line: their writers died",
                len(unclosed),
                torn,
            )
        path = folder / f"{datetime.now(UTC):%Y%m%dT%H%M%S.%fZ}-{stream}{SUFFIX}"
        fd = os.open(path, _FLAGS, 0o600)
        try:
            lock(fd)  # says that this stream has a living writer; nobody else has the file yet
            status = os.fstat(fd)
            sync_folder(folder)
        except BaseException:
            os.close(fd)
            raise
        self._fd, self._path, self._identity, self._looked = fd, path, (status.st_dev, status.st_ino), 0.0
        self._opened, self._size = time.monotonic(), 0
        self._housekeeping.start(folder)

    def found(self) -> Found:
        """What lay in the folder when the open stream was opened."""
        return self._found or NOTHING

    def is_full(self) -> bool:
        """Whether the open stream has reached its size or its age."""
        return self._size >= self.rotate_bytes or time.monotonic() - self._opened >= self.rotate_seconds

    def tails(self, most: int, /) -> Iterable[Sequence[bytes]]:
        """
        The ends of the files that were written to last.

        Raises:
            OSError: The folder or a file cannot be read.
        """
        return (last_lines(path, most) for path in last_written(self.folder.absolute(), _TAILS))

    def expired(self) -> Sequence[Expired]:
        """Streams whose time is over."""
        return self._housekeeping.expired()

    def remove(self, streams: Iterable[Expired], /) -> None:
        """Remove streams whose tombstones are on record."""
        self._housekeeping.remove(self.folder.absolute(), streams)

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
        self._size += written
        if durable:
            self._look()  # before the sync, because each system call may wait for other threads before it returns
            os.fsync(fd)
        elif (now := time.monotonic()) - self._looked > _LOOK_EVERY_SECONDS:
            self._look()
            self._looked = now

    def close(self) -> None:
        """Close the file of the open stream."""
        fd, self._fd, self._path = self._fd, None, None
        if fd is not None:
            os.close(fd)

    def after_fork_in_child(self) -> None:
        """The stream is the parent's, and its lock says that the parent lives: nobody else may hold it open."""
        self.close()

    def _look(self) -> None:
        if self._path is None:
            raise OSError("no stream is open")
        status = self._path.stat(follow_symlinks=False)
        if (status.st_dev, status.st_ino) != self._identity:
            raise OSError("the audit file was replaced under its writer")

    def __repr__(self) -> str:
        return f"JsonlDirectory({str(self.folder)!r})"
