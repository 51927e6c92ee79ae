"""Checkpoints of the open stream: when one is due, and having it signed and kept."""

from __future__ import annotations

import time
from hashlib import sha256
from typing import TYPE_CHECKING

from guardrails.audit import record
from guardrails.audit.merkle import Tree
from guardrails.audit.note import signed_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from guardrails.audit.anchors import Anchor
    from guardrails.audit.fields import Members
    from guardrails.audit.note import Signer


class Checkpoints:
    """
    Follows one stream after another and has its head signed and kept.

    A checkpoint covers a record that names the note before it, so that checkpoints are a chain of their own: one that is
    missing from an anchor is named by its successor.

    Args:
        signer: Signs; None without checkpoints.
        anchors: Where notes go; all of them must take each note.
        every: Records between two checkpoints.
        seconds: Between two checkpoints of an open stream, also when nothing is sent.
    """

    __slots__ = (
        "_anchors",
        "_every",
        "_kept",
        "_last_note",
        "_number",
        "_seconds",
        "_signed",
        "_signer",
        "_stream",
        "_tree",
    )

    def __init__(self, signer: Signer | None, anchors: Sequence[Anchor], every: int, seconds: float) -> None:
        self._signer = signer
        self._anchors = tuple(anchors)
        self._every = every
        self._seconds = seconds
        self._stream = ""
        self._tree = Tree()
        self._kept = 0
        self._number = 0
        self._last_note = ""
        self._signed = 0.0  # monotonic seconds

    @property
    def is_on(self) -> bool:
        """Whether there is anything to do."""
        return self._signer is not None

    def is_due(self, stream: str, more: int) -> bool:
        """Whether *more* records of *stream* shall end with a checkpoint; not those that begin it, which have one anyway."""
        if self._signer is None or stream != self._stream:
            return False
        return self._tree.size + more - self._kept >= self._every or self.due_in(time.monotonic()) == 0.0

    def due_in(self, now_seconds: float) -> float | None:
        """Seconds until the stream that was followed last wants a checkpoint; None without one."""
        if self._signer is None or not self._stream:
            return None
        return max(0.0, self._signed + self._seconds - now_seconds)

    def before(self) -> Members:
        """The members of the record that the next checkpoint covers last; empty without checkpoints."""
        if self._signer is None or not self._last_note:
            return {}
        return record.note_before(self._number + 1, self._last_note)

    def stop(self) -> None:
        """Nothing is open any more."""
        self._stream = ""

    def follow(self, stream: str, lines: Iterable[bytes], *, now: bool = False) -> None:
        """
        Take lines that the sink has accepted. The first ones of a stream are anchored at once.

        Args:
            stream: Their stream's.
            lines: With their newlines.
            now: Whether a checkpoint is due.

        Raises:
            Exception: What the signer or an anchor raised.
        """
        signer = self._signer
        if signer is None:
            return
        if stream != self._stream:
            self._stream, self._tree, self._kept, self._number, self._last_note, now = stream, Tree(), 0, 0, "", True
        tree = self._tree
        for line in lines:
            tree.add(line[:-1])
        if now:
            note = signed_checkpoint(stream, tree.size, tree.root(), signer)
            for anchor in self._anchors:
                anchor.keep(stream, tree.size, note)
            self._kept, self._last_note = tree.size, sha256(note).hexdigest()
            self._number += 1
            self._signed = time.monotonic()
