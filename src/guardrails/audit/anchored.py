"""What the anchors say about each stream, held against the stream as it is read."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from guardrails.audit.anchors import notes
from guardrails.audit.merkle import Tree
from guardrails.audit.note import Forged

if TYPE_CHECKING:
    from guardrails.audit.note import Trust


class Anchored:
    """
    The checkpoints of one anchor.

    Args:
        folder: The anchor's.
        trust: Whose signatures count.

    Attributes:
        authenticity: Notes that nobody trusted has signed, or that contradict each other.

    Raises:
        OSError: The folder cannot be read.
    """

    def __init__(self, folder: str | os.PathLike[str], trust: Trust) -> None:
        self.authenticity: list[str] = []
        self._roots: dict[str, dict[int, bytes]] = {}
        for name, note in notes(folder):
            try:
                said = trust.checkpoint(note)
            except Forged as error:
                self.authenticity.append(f"anchor {name}: {error}")
                continue
            if self._roots.setdefault(said.stream, {}).setdefault(said.size, said.root) != said.root:
                self.authenticity.append(f"anchor {name}: two checkpoints of one size differ")

    def reader(self, stream: str | None) -> StreamAnchors:
        """What is anchored of *stream*, to be fed with its lines."""
        return StreamAnchors(self._roots.get(stream or "", {}))

    def missing(self, there: set[str]) -> list[str]:
        """Streams that are anchored, and not there."""
        return [
            f"stream {stream} is anchored with {max(roots)} records, and not here"
            for stream, roots in sorted(self._roots.items())
            if stream not in there
        ]


class StreamAnchors:
    """The anchored sizes and roots of one stream, while its lines go by."""

    __slots__ = ("_roots", "_tree", "changed")

    def __init__(self, roots: dict[int, bytes]) -> None:
        self._roots = roots
        self._tree = Tree()
        self.changed: int | None = None  # the first anchored size whose root is another

    def add(self, line: bytes) -> None:
        """One line, without its newline."""
        if not self._roots:
            return
        self._tree.add(line)
        anchored = self._roots.get(self._tree.size)
        if anchored is not None and self.changed is None and anchored != self._tree.root():
            self.changed = self._tree.size

    @property
    def size(self) -> int:
        """How many records the newest checkpoint covers; 0 without one."""
        return max(self._roots, default=0)
