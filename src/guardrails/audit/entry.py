"""What waits to be written, and who waits for it."""

from __future__ import annotations

import threading
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


class Entry:
    """
    One record on its way, or one wish to the writer.

    Args:
        kind: One of the six above.
        members: The record; empty without one.
        why: For END, what the close record says.
    """

    __slots__ = ("_future", "_lock", "_loop", "kind", "members", "state", "why")

    def __init__(self, kind: str, members: Members, *, why: str = "") -> None:
        self.kind: str = kind
        self.members: Members = members
        self.why: str = why
        self.state: str = WAITING
        self._lock: threading.Lock | None = None
        self._loop: asyncio.AbstractEventLoop | None = None
        self._future: asyncio.Future[None] | None = None

    @property
    def is_record(self) -> bool:
        """Whether it becomes a line."""
        return bool(self.members)

    def expect(self, loop: asyncio.AbstractEventLoop | None = None) -> None:
        """Say, before it is queued, that somebody will wait: a thread, or a task of *loop*."""
        if loop is None:
            self._lock = threading.Lock()
            self._lock.acquire()
        else:
            self._loop, self._future = loop, loop.create_future()

    def wait(self, seconds: float) -> str:
        """Wait in this thread; the state then."""
        if self._lock is not None and self.state == WAITING:
            self._lock.acquire(timeout=seconds)
        return self.state

    async def wait_async(self, seconds: float) -> str:
        """Wait in this task, on the loop that was named; the state then."""
        loop, future = self._loop, self._future
        if loop is not None and future is not None and self.state == WAITING:
            timer = loop.call_later(seconds, _wake, (future,))
            try:
                await future
            finally:
                timer.cancel()
        return self.state


def answer(entries: Iterable[Entry], state: str) -> None:
    """
    Settle *entries* and wake whoever waits.

    An event loop is woken once for all its tasks; one that has been closed meanwhile has nobody to tell.
    """
    by_loop: dict[asyncio.AbstractEventLoop, list[asyncio.Future[None]]] = {}
    for entry in entries:
        entry.state = state
        if entry._lock is not None:  # noqa: SLF001 - same module
            entry._lock.release()  # noqa: SLF001
        elif entry._loop is not None and entry._future is not None:  # noqa: SLF001
            by_loop.setdefault(entry._loop, []).append(entry._future)  # noqa: SLF001
    for loop, futures in by_loop.items():
        try:
            loop.call_soon_threadsafe(_wake, tuple(futures))
        except RuntimeError:  # closed
            continue


def _wake(futures: Iterable[asyncio.Future[None]]) -> None:
    for future in futures:
        if not future.done():
            future.set_result(None)
