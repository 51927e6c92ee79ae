"""
What waits to be told by a thread of its own, so that those who send do not wait for it. Bounded; what finds no place is counted.

1. `put` never waits, and may be called by a garbage collector in the middle of anything: no lock on its way but a re-entrant one.
2. The thread sleeps while nothing is there. Once woken it lets a few gather, because waking costs more than telling.
3. At exit what waits is told, for a few seconds at most; afterwards `put` tells at once.
4. A forked child starts with nothing: what waited is the parent's.
"""

from __future__ import annotations

import atexit
import logging
import os
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable
from queue import SimpleQueue
from typing import Any, Final, Generic, TypeVar

T = TypeVar("T")

GATHER_SECONDS: Final = 0.1
EXIT_SECONDS: Final = 5.0
_LOOK: Final = "there is something"
_END: Final = "no more"
_log: Final = logging.getLogger("guardrails")


class Backlog(Generic[T]):
    """
    Things that one thread tells, in their order.

    Args:
        tell: Called with each; what it raises is logged by class, and counted as left out.
        most: That wait at a time; more are left out. With 0, `put` tells at once.
        name: Of the thread.
    """

    def __init__(self, tell: Callable[[T], None], *, most: int, name: str) -> None:
        self._tell = tell
        self._most = most
        self._name = name
        self._fresh()
        _known.add(self)

    def _fresh(self) -> None:
        self.waiting: deque[T] = deque()
        self.left_out: int = 0
        self._sleeps = True
        self._thread: threading.Thread | None = None
        self._wake: SimpleQueue[object] = SimpleQueue()  # its `put` may be entered again
        self._telling = threading.RLock()
        self._counting = threading.RLock()

    def put(self, one: T) -> None:
        """Have *one* told."""
        if len(self.waiting) < self._most:
            self.waiting.append(one)
            if self._sleeps:
                self._rouse()
        elif self._most:
            self._leave_out(1)
        else:
            self._tell(one)

    def flush(self, seconds: float | None = None) -> bool:
        """
        Tell everything that waits, in this thread.

        Args:
            seconds: Stop after so long; None for never.

        Returns:
            Whether nothing is left.
        """
        until = None if seconds is None else time.monotonic() + seconds
        if not self._telling.acquire(timeout=-1 if seconds is None else seconds):
            return False
        try:
            return self._drain(until)
        finally:
            self._telling.release()

    def close(self) -> None:
        """Tell everything, and end the thread; `put` starts another. For when nobody puts any more."""
        atexit.unregister(self._exit)
        thread = self._thread
        if thread is not None and thread is not threading.current_thread():
            self._wake.put(_END)
            thread.join()
            self._thread, self._wake, self._sleeps = None, SimpleQueue(), True
        self.flush()

    def _drain(self, until: float | None) -> bool:
        failed: set[str] = set()
        while self.waiting and (until is None or time.monotonic() < until):
            one = self.waiting.popleft()
            try:
                self._tell(one)
            except Exception as error:  # noqa: BLE001 - an exporter of somebody's; the others are told
                self._leave_out(1)
                failed.add(type(error).__name__)
        for name in sorted(failed):
            _log.error("guardrails: %s: some could not be told (%s)", self._name, name)
        return not self.waiting

    def _leave_out(self, count: int) -> None:
        with self._counting:
            self.left_out += count

    def _rouse(self) -> None:
        with self._counting:
            self._sleeps = False
            if self._thread is None:
                self._thread = threading.Thread(target=self._run, args=(self._wake,), name=self._name, daemon=True)
                self._thread.start()
        # Again and again: whoever takes what is told may have registered its own end meanwhile, and ours comes before that.
        atexit.unregister(self._exit)
        atexit.register(self._exit)
        self._wake.put(_LOOK)

    def _run(self, wake: SimpleQueue[object]) -> None:
        while wake.get() is not _END:
            time.sleep(GATHER_SECONDS)
            self.flush()
            self._sleeps = True
            if self.waiting:  # came after the last one was told, and before we slept
                self._sleeps = False
                wake.put(_LOOK)

    def _exit(self) -> None:
        self._most = 0
        if not self.flush(EXIT_SECONDS):
            self._leave_out(len(self.waiting))
            _log.warning("guardrails: %s: %d were left out at exit", self._name, len(self.waiting))

    def after_fork(self) -> None:
        """In a child."""
        self._fresh()


def all_waiting() -> int:
    """How many wait in this process."""
    return sum(len(one.waiting) for one in list(_known))


def all_left_out() -> int:
    """How many were left out in this process."""
    return sum(one.left_out for one in list(_known))


_known: Final[weakref.WeakSet[Backlog[Any]]] = weakref.WeakSet()


def _after_fork() -> None:
    for one in list(_known):
        one.after_fork()


os.register_at_fork(after_in_child=_after_fork)
