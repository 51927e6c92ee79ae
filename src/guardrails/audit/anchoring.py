"""
Having notes kept by anchors, without making anybody wait for them.

A note that an anchor did not take is not offered again: a later one, over more records, takes its place. So an answer that got
lost does no harm, and no anchor is asked twice for one name.
"""

from __future__ import annotations

import logging
import threading
import time
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Sequence

    from guardrails.audit.anchors import Anchor

_BACKOFF_SECONDS: Final = 0.5  # doubled with each failure
_BACKOFF_AT_MOST_SECONDS: Final = 30.0
_log: Final = logging.getLogger("guardrails.audit")


class Anchoring:
    """
    Has one note at a time kept by every anchor, in a thread that ends with it.

    Args:
        anchors: All of them must take each note.

    Attributes:
        behind_since: Monotonic seconds when the first note was handed over that is not kept by now; 0.0 while there is none.
        failed: Class name of what an anchor raised last; None while all is well.
        retry_at: Monotonic seconds before which no other note is to be offered.
    """

    __slots__ = ("_anchors", "_backoff_seconds", "_done", "behind_since", "failed", "retry_at")

    def __init__(self, anchors: Sequence[Anchor]) -> None:
        self._anchors = tuple(anchors)
        self.forget()

    def forget(self) -> None:
        """In a forked child, the thread is the parent's; and a new stream begins with a note of its own."""
        self._done: threading.Event | None = None  # of the note that is under way
        self._backoff_seconds = _BACKOFF_SECONDS
        self.behind_since: float = 0.0
        self.failed: str | None = None
        self.retry_at: float = 0.0

    @property
    def is_busy(self) -> bool:
        """Whether a note is under way."""
        return self._done is not None and not self._done.is_set()

    def keep(self, stream: str, size: int, note: bytes) -> None:
        """
        Have the note kept now.

        Raises:
            Exception: What an anchor raised.
        """
        for anchor in self._anchors:
            anchor.keep(stream, size, note)
        self.forget()

    def begin(self, stream: str, size: int, note: bytes) -> None:
        """Have the note kept meanwhile. Only when nothing is under way."""
        if not self.behind_since:
            self.behind_since = time.monotonic()
        done = self._done = threading.Event()
        thread = threading.Thread(
            target=self._run, args=(stream, size, note, done), name="guardrails-audit-anchor", daemon=True
        )
        try:
            thread.start()
        except RuntimeError:  # the interpreter is shutting down: what follows is anchored by whoever closes the stream
            done.set()

    def wait(self, seconds: float) -> bool:
        """Wait for the note that is under way; whether none is any more."""
        return self._done is None or self._done.wait(seconds)

    def _run(self, stream: str, size: int, note: bytes, done: threading.Event) -> None:
        problem = None
        for anchor in self._anchors:
            try:
                anchor.keep(stream, size, note)
            except BaseException as error:  # noqa: BLE001 - an anchor may raise anything: the next note takes this one's place
                problem = type(error).__name__
        if self._done is not done:  # the stream was given up meanwhile
            return
        if problem is None:
            self.behind_since, self.failed, self._backoff_seconds = 0.0, None, _BACKOFF_SECONDS
        else:
            self.retry_at = time.monotonic() + self._backoff_seconds
            self._backoff_seconds = min(2 * self._backoff_seconds, _BACKOFF_AT_MOST_SECONDS)
            if self.failed is None:
                _log.error("an audit anchor does not take checkpoints (%s): it is tried again by itself", problem)
            self.failed = problem
        done.set()
