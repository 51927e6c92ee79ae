"""Checkpoints of the open stream: when one is due, and having it signed and kept."""

from __future__ import annotations

import logging
import time
from hashlib import sha256
from typing import TYPE_CHECKING, Final

from guardrails.audit import record
from guardrails.audit.anchoring import Anchoring
from guardrails.audit.merkle import Tree
from guardrails.audit.note import signed_checkpoint

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from guardrails.audit.anchors import Anchor
    from guardrails.audit.fields import Members
    from guardrails.audit.note import Signer

_LOOK_AGAIN_SECONDS: Final = 0.1  # while a note is under way
_LAST_SECONDS: Final = 1.0  # that the end of a stream waits for a note that is under way
_log: Final = logging.getLogger("guardrails.audit")


class Checkpoints:
    """
    Follows one stream after another and has its head signed and kept.

    A checkpoint covers a record that names the note before it, so that checkpoints are a chain of their own: one that is
    missing from an anchor is named by its successor. A note that was not kept is named by nobody.

    Args:
        signer: Signs; None without checkpoints.
        anchors: Where notes go; all of them must take each note.
        every: Records between two checkpoints.
        seconds: Between two checkpoints of an open stream, also when nothing is sent.
        grace_seconds: How long sends go on without a newer checkpoint once one should have been kept. 0: not at all; the
            writer then waits for the anchors, and a note that is not kept is a failure of the stream.
    """

    __slots__ = (
        "_anchoring",
        "_every",
        "_grace_seconds",
        "_kept",
        "_last_note",
        "_noted",
        "_number",
        "_offered",
        "_seconds",
        "_signed",
        "_signer",
        "_stream",
        "_tree",
    )

    def __init__(
        self, signer: Signer | None, anchors: Sequence[Anchor], every: int, seconds: float, grace_seconds: float = 0.0
    ) -> None:
        self._signer = signer
        self._anchoring = Anchoring(anchors)
        self._every = every
        self._seconds = seconds
        self._grace_seconds = grace_seconds
        self._stream = ""
        self._tree = Tree()
        self._kept = 0  # records under a note that all anchors have
        self._noted = 0  # records under the newest note
        self._number = 0
        self._last_note = ""
        self._offered = ""  # the note that is under way
        self._signed = 0.0  # monotonic seconds

    @property
    def is_on(self) -> bool:
        """Whether there is anything to do."""
        return self._signer is not None

    @property
    def is_idle(self) -> bool:
        """Whether no note is under way, and none was refused."""
        return not self._anchoring.behind_since

    @property
    def failed(self) -> str | None:
        """Class name of what an anchor raised last; None while all is well."""
        return self._anchoring.failed

    @property
    def behind_seconds(self) -> float:
        """For how long a note has been waiting to be kept; 0.0 where none does."""
        since = self._anchoring.behind_since  # read once: it may be kept meanwhile
        return time.monotonic() - since if since else 0.0

    @property
    def problem(self) -> str | None:
        """Why sends have to stop: nothing was kept for too long."""
        if self._anchoring.behind_since and self.behind_seconds > self._grace_seconds:
            return f"no checkpoint was kept for {self._grace_seconds:g} s ({self._anchoring.failed or 'an anchor hangs'})"
        return None

    def is_due(self, stream: str, more: int) -> bool:
        """Whether *more* records of *stream* shall end with a checkpoint; not those that begin it, which have one anyway."""
        if self._signer is None or stream != self._stream:
            return False
        if self._anchoring.behind_since:
            return not self._anchoring.is_busy and time.monotonic() >= self._anchoring.retry_at
        return self._tree.size + more - self._noted >= self._every or self.due_in(time.monotonic()) == 0.0

    def due_in(self, now_seconds: float) -> float | None:
        """Seconds until the stream that was followed last wants a checkpoint; None without one."""
        if self._signer is None or not self._stream:
            return None
        anchoring = self._anchoring
        if anchoring.behind_since:
            return _LOOK_AGAIN_SECONDS if anchoring.is_busy else max(0.0, anchoring.retry_at - now_seconds)
        return max(0.0, self._signed + self._seconds - now_seconds)

    def before(self) -> Members:
        """The members of the record that the next checkpoint covers last; empty without checkpoints."""
        if self._signer is None or not self._last_note:
            return {}
        self._settle()
        return record.note_before(self._number + 1, self._last_note)

    def kept(self, stream: str) -> int:
        """How many records of *stream* are under a note that all anchors have."""
        if stream != self._stream:
            return 0
        self._settle()
        return self._kept

    def stop(self) -> None:
        """Nothing is open any more."""
        self._stream = self._offered = ""
        self._anchoring.forget()

    def follow(self, stream: str, lines: Iterable[bytes], *, now: bool = False) -> None:
        """
        Take lines that the sink has accepted. The first ones of a stream are anchored at once.

        Args:
            stream: Their stream's.
            lines: With their newlines.
            now: Whether a checkpoint is due.

        Raises:
            Exception: What the signer raised; or an anchor, where the stream begins, or without grace.
        """
        signer = self._signer
        if signer is None:
            return
        begins = stream != self._stream
        if begins:
            self._stream, self._tree, self._kept, self._noted, self._number, self._last_note = stream, Tree(), 0, 0, 0, ""
            self._anchoring.forget()
        tree = self._tree
        for line in lines:
            tree.add(line[:-1])
        if not (now or begins):
            return
        self._settle()
        note = signed_checkpoint(stream, tree.size, tree.root(), signer)
        self._noted, self._signed, self._offered = tree.size, time.monotonic(), sha256(note).hexdigest()
        if begins or not self._grace_seconds:
            self._anchoring.keep(stream, tree.size, note)
            self._settle()
        else:
            self._anchoring.begin(stream, tree.size, note)

    def finish(self, stream: str, lines: Iterable[bytes]) -> None:
        """
        Take the last lines of a stream, and have its end anchored. One that is not is said, and no failure of the stream.

        Args:
            stream: The stream.
            lines: With their newlines.

        Raises:
            Exception: What the signer raised; or an anchor, without grace.
        """
        signer = self._signer
        if signer is None:
            return
        for line in lines:
            self._tree.add(line[:-1])
        if self._anchoring.is_busy:
            _log.error("an audit anchor hangs: the end of a stream is under no checkpoint")
            return
        note = signed_checkpoint(stream, self._tree.size, self._tree.root(), signer)
        self._noted, self._offered = self._tree.size, sha256(note).hexdigest()
        try:
            self._anchoring.keep(stream, self._tree.size, note)
        except Exception as error:
            if not self._grace_seconds:
                raise
            _log.error("the end of an audit stream is under no checkpoint (%s)", type(error).__name__)

    def wait(self) -> None:
        """Give a note that is under way a moment, before the stream ends."""
        self._anchoring.wait(_LAST_SECONDS)

    def _settle(self) -> None:
        """Take note of one that has been kept."""
        if self._offered and not self._anchoring.behind_since:
            self._kept, self._last_note, self._offered = self._noted, self._offered, ""
            self._number += 1
