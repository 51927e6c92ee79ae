"""What waits to be written, and who waits for it."""

from __future__ import annotations

import threading
import time
from collections import deque
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Iterable

    from guardrails.audit.fields import Members

INTENT: Final = "intent"  # refused when it cannot be written
OUTCOME: Final = "outcome"  # kept until it can be written; gives its slot back
DECISION: Final = "decision"  # kept until it can be written; there are only so many
NOTE: Final = "note"  # kept until it can be written; rare
FLUSH: Final = "flush"  # no record: answers when everything before it is written
END: Final = "end"  # no record: closes the stream after everything before it

WAITING: Final = "waiting"
WRITTEN: Final = "written"
FAILED: Final = "failed"


class Tasks:
    """
    The tasks of one event loop that wait for their records.

    They all wait equally long, so the first in line is the first whose time is over, and one timer does for all of them.

    Args:
        loop: Theirs.
        seconds: How long each waits.
    """

    __slots__ = ("_line", "_seconds", "_timer", "loop")

    def __init__(self, loop: asyncio.AbstractEventLoop, seconds: float) -> None:
        self.loop: asyncio.AbstractEventLoop = loop
        self._seconds = seconds
        self._line: deque[tuple[float, asyncio.Future[None]]] = deque()
        self._timer: asyncio.TimerHandle | None = None

    def future(self) -> asyncio.Future[None]:
        """Settled when the record is, or when the time is over. Only from the loop's own thread."""
        line, loop = self._line, self.loop
        future = loop.create_future()
        while line and line[0][1].done():
            line.popleft()
        line.append((time.monotonic() + self._seconds, future))
        if self._timer is None:
            self._timer = loop.call_later(self._seconds, self._ring)
        return future

    def _ring(self) -> None:
        line, now = self._line, time.monotonic()
        while line and (line[0][1].done() or line[0][0] <= now):
            _settle((line.popleft()[1],))
        self._timer = self.loop.call_later(max(0.0, line[0][0] - now), self._ring) if line else None


class Entry:
    """
    One record on its way, or one wish to the writer.

    Args:
        kind: One of the six above.
        members: The record; empty without one.
        why: For END, what the close record says.

    Attributes:
        lock: Held until the entry is settled, where a thread waits.
        future: Settled with the entry, where a task of *loop* waits.
    """

    __slots__ = ("future", "kind", "lock", "loop", "members", "state", "why")

    lock: threading.Lock | None
    loop: asyncio.AbstractEventLoop | None
    future: asyncio.Future[None] | None

    def __init__(self, kind: str, members: Members, *, why: str = "") -> None:
        self.kind: str = kind
        self.members: Members = members
        self.why: str = why
        self.state: str = WAITING
        self.lock = self.loop = self.future = None

    @property
    def is_record(self) -> bool:
        """Whether it becomes a line."""
        return bool(self.members)

    def expect(self) -> None:
        """Say, before it is queued, that this thread will wait."""
        self.lock = threading.Lock()
        self.lock.acquire()

    def wait(self, seconds: float) -> str:
        """Wait in this thread; the state then."""
        if self.lock is not None and self.state == WAITING:
            self.lock.acquire(timeout=seconds)
        return self.state


def answer(entries: Iterable[Entry], state: str) -> None:
    """
    Settle *entries* and wake whoever waits.

    An event loop is woken once for all its tasks; one that has been closed meanwhile has nobody to tell.
    """
    futures: list[asyncio.Future[None]] = []
    loop: asyncio.AbstractEventLoop | None = None
    for entry in entries:
        entry.state = state
        if entry.lock is not None:
            entry.lock.release()
        elif entry.future is not None:
            if entry.loop is not loop:
                _tell(loop, futures)
                loop, futures = entry.loop, []
            futures.append(entry.future)
    _tell(loop, futures)


def _tell(loop: asyncio.AbstractEventLoop | None, futures: list[asyncio.Future[None]]) -> None:
    if loop is not None:
        try:
            loop.call_soon_threadsafe(_settle, futures)
        except RuntimeError:  # closed
            return


def _settle(futures: Iterable[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
