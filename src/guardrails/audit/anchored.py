"""What the anchors say about each stream, held against the stream as it is read."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from guardrails.audit.finding import Finding
from guardrails.audit.merkle import Tree
from guardrails.audit.note import Forged

if TYPE_CHECKING:
    from guardrails.audit.note import Trust

_NAMED: Final = re.compile(r"([0-9a-f]{32})-([0-9]{16})\.note")


class Anchored:
    """
    The checkpoints of one anchor.

    Args:
        notes: Their names and contents.
        trust: Whose signatures count.

    Attributes:
        findings: Notes that nobody trusted has signed, that contradict each other, or that are another than their name says.
        count: How many notes hold.
    """

    def __init__(self, notes: Iterable[tuple[str, bytes]], trust: Trust) -> None:
        self.findings: list[Finding] = []
        self.count: int = 0
        self._roots: dict[str, dict[int, bytes]] = {}
        self._digests: dict[str, set[str]] = {}
        for name, note in notes:
            try:
                said = trust.checkpoint(note)
            except Forged as error:
                self._find("forged-note", f"anchor {name}: {error}")
                continue
            named = _NAMED.fullmatch(name)
            if named is not None and (named[1], int(named[2])) != (said.stream, said.size):
                self._find("replayed-note", f"anchor {name}: holds the checkpoint of another stream or size")
                continue
            if self._roots.setdefault(said.stream, {}).setdefault(said.size, said.root) != said.root:
                self._find("contradicting-notes", f"anchor {name}: two checkpoints of one size differ")
            self._digests.setdefault(said.stream, set()).add(sha256(note).hexdigest())
            self.count += 1

    def _find(self, code: str, what: str) -> None:
        self.findings.append(Finding(what, verdict="authenticity", code=code))

    @property
    def streams(self) -> dict[str, int]:
        """Streams that are anchored, and how many records the newest checkpoint of each covers."""
        return {stream: max(roots) for stream, roots in self._roots.items()}

    def has_note(self, stream: str, digest: str) -> bool:
        """Whether the anchor holds the note with this SHA-256."""
        return digest in self._digests.get(stream, ())

    def reader(self, stream: str) -> StreamAnchors:
        """What is anchored of *stream*, to be fed with its lines."""
        return StreamAnchors(self._roots.get(stream, {}), self._digests.get(stream, set()))

    def root(self, stream: str, size: int) -> bytes | None:
        """The anchored root of the first *size* records of *stream*."""
        return self._roots.get(stream, {}).get(size)


class StreamAnchors:
    """The anchored sizes and roots of one stream, while its lines go by."""

    __slots__ = ("_ahead", "_notes", "_roots", "_tree", "changed", "size")

    def __init__(self, roots: dict[int, bytes], notes: set[str]) -> None:
        self._roots = roots
        self._notes = notes
        self._ahead = sorted(roots, reverse=True)
        self._tree = Tree()
        self.changed: int | None = None  # the first anchored size whose root is another
        self.size: int = max(roots, default=0)  # how many records the newest checkpoint covers; 0 without one

    def has_note(self, digest: str) -> bool:
        """Whether the anchor holds the note with this SHA-256."""
        return digest in self._notes

    def add(self, lines: Sequence[bytes]) -> None:
        """More lines, without their newlines."""
        begin = 0
        while self._ahead and self._ahead[-1] <= self._tree.size + len(lines) - begin:
            size = self._ahead.pop()
            end = begin + size - self._tree.size
            self._tree.extend(lines[begin:end])
            begin = end
            if self.changed is None and self._roots[size] != self._tree.root():
                self.changed = size
        if self._ahead:
            self._tree.extend(lines[begin:])
