"""Checkpoints, and the places out of the writer's reach where they are kept."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Final, Protocol, runtime_checkable

from guardrails.audit.files import make_folder, sync_folder
from guardrails.audit.merkle import Tree
from guardrails.audit.note import signed_checkpoint
from guardrails.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from guardrails.audit.note import Signer

NOTE_SUFFIX: Final = ".note"
_NOTE_BYTES: Final = 16_384


@runtime_checkable
class Anchor(Protocol):
    """Keeps checkpoints. A team implements this over an object store with a lock, or a witness."""

    def keep(self, stream: str, size: int, note: bytes, /) -> None:
        """
        Keep *note* durably, and for good; returning means kept.

        Raises:
            Exception: Anything: the stream is given up, and nobody sends on the strength of its records.
        """


class DirectoryAnchor:
    """
    One file a checkpoint, never overwritten: `<stream>-<size>.note`.

    Args:
        folder: Best a mount that this process's user may add to but not change; never the audit folder itself.
    """

    __slots__ = ("folder",)

    def __init__(self, folder: str | os.PathLike[str]) -> None:
        self.folder: Path = Path(folder).absolute()

    def keep(self, stream: str, size: int, note: bytes, /) -> None:
        """Write the note to a file of its own and sync it."""
        make_folder(self.folder)
        flags = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_NOFOLLOW", 0) | getattr(os, "O_CLOEXEC", 0)
        fd = os.open(self.folder / f"{stream}-{size:016}{NOTE_SUFFIX}", flags, 0o600)
        try:
            if os.write(fd, note) != len(note):
                raise OSError("short write")
            os.fsync(fd)
        finally:
            os.close(fd)
        sync_folder(self.folder)


def refuse_inside(audit: Path, anchors: Iterable[Anchor]) -> None:
    """
    Refuse an anchor beside what it protects.

    Raises:
        ConfigError: A `DirectoryAnchor` is, or lies inside, the folder *audit*.
    """
    for anchor in anchors:
        if isinstance(anchor, DirectoryAnchor):
            folder = anchor.folder.resolve()
            if audit.resolve() in (folder, *folder.parents):
                raise ConfigError(
                    "the anchor lies inside the audit folder, where whoever changes the log can change it too"
                )


def notes(folder: str | os.PathLike[str]) -> Iterable[tuple[str, bytes]]:
    """
    Name and content of each note in an anchor's folder.

    Raises:
        OSError: The folder or a file cannot be read.
    """
    for path in sorted(Path(folder).iterdir()):
        if path.name.endswith(NOTE_SUFFIX):
            with path.open("rb") as file:
                yield path.name, file.read(_NOTE_BYTES)


class Checkpoints:
    """
    Follows one stream after another and has its head signed and kept.

    Args:
        signer: Signs; None without checkpoints.
        anchors: Where notes go; all of them must take each note.
        every: Records between two checkpoints.
    """

    __slots__ = ("_anchors", "_every", "_kept", "_signer", "_stream", "_tree")

    def __init__(self, signer: Signer | None, anchors: Sequence[Anchor], every: int) -> None:
        self._signer = signer
        self._anchors = tuple(anchors)
        self._every = every
        self._stream = ""
        self._tree = Tree()
        self._kept = 0

    @property
    def is_on(self) -> bool:
        """Whether there is anything to do."""
        return self._signer is not None

    def follow(self, stream: str, lines: Iterable[bytes], *, now: bool = False) -> None:
        """
        Take lines that the sink has accepted. The first ones of a stream, and the last, are anchored at once.

        Raises:
            Exception: What the signer or an anchor raised.
        """
        signer = self._signer
        if signer is None:
            return
        if stream != self._stream:
            self._stream, self._tree, self._kept, now = stream, Tree(), 0, True
        tree = self._tree
        for line in lines:
            tree.add(line[:-1])
        if now or tree.size - self._kept >= self._every:
            note = signed_checkpoint(stream, tree.size, tree.root(), signer)
            for anchor in self._anchors:
                anchor.keep(stream, tree.size, note)
            self._kept = tree.size
