"""
A thread that tells a store what must not wait for the next send: what is given back, charged later, and still running.

There is one for a store while there is something to tell, and none when there is not. It starts by itself, also in a
child after a fork, and never keeps a process alive; what is left at the end of one is told then, within a bound.
"""

from __future__ import annotations

import os
import threading
import weakref
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Final, Protocol

_IDLE_SECONDS: Final = 2.0  # without anything to tell, the thread ends
_RETRY_SECONDS: Final = 0.25


class Told(Protocol):
    """What a keeper works for."""

    def tell(self) -> float | None:
        """
        Tell the store what is to be told now.

        Returns:
            Seconds until there is more to tell; None when there is nothing.
        """


class Keeper:
    """
    The thread of one store.

    Args:
        told: Whose things are told; the thread ends when it is gone.
    """

    __slots__ = ("_lock", "_pid", "_running", "_telling", "_told", "_wake")

    def __init__(self, told: Told) -> None:
        self._told = weakref.ref(told)
        self._fresh()

    def _fresh(self) -> None:
        self._pid = os.getpid()
        self._lock = threading.Lock()
        self._telling = threading.Lock()
        self._wake = threading.Event()
        self._running = False

    def wake(self) -> None:
        """There is something to tell. Waits for nothing."""
        if self._pid != os.getpid():
            self._fresh()  # a child has none of its parent's threads
        self._wake.set()
        with self._lock:
            if self._running:
                return
            self._running = True
            thread = threading.Thread(target=self._run, name="guardrails-limits", daemon=True)
        try:
            thread.start()
        except RuntimeError:  # the interpreter is going: the end of the process tells the rest
            self._running = False

    @contextmanager
    def silent(self, seconds: float) -> Iterator[None]:
        """The thread has told what it was telling, and tells nothing meanwhile; waits for it for at most *seconds*."""
        waits = self._pid == os.getpid() and self._telling.acquire(timeout=seconds)
        try:
            yield
        finally:
            if waits:
                self._telling.release()

    def _run(self) -> None:
        pause: float | None = 0.0
        while True:
            came = self._wake.wait(_IDLE_SECONDS if pause is None else pause)
            self._wake.clear()
            told = self._told()
            if told is None:
                break
            if not came and pause is None:
                with self._lock:
                    if not self._wake.is_set():
                        self._running = False
                        return
            with self._telling:
                pause = _next(told.tell)
            del told
        self._running = False


def _next(tell: Callable[[], float | None]) -> float | None:
    pause = tell()
    return None if pause is None else max(pause, _RETRY_SECONDS)
