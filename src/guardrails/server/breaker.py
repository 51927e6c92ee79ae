"""A circuit breaker: after a failure nobody asks for a while, then one asks for all."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Final

FIRST_SECONDS: Final = 0.25
MOST_SECONDS: Final = 5.0


class Breaker:
    """
    Whether a store may be asked now.

    Args:
        clock: Seconds of a clock that never goes back.
    """

    __slots__ = ("_clock", "_lock", "_pause", "_until")

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._lock = threading.Lock()
        self._pause = 0.0  # seconds; 0 while the store answers
        self._until = 0.0

    def may_ask(self) -> bool:
        """True while the store answers; after a failure True for one caller once the pause is over."""
        if not self._pause:
            return True
        with self._lock:
            if self._pause and self._clock() < self._until:
                return False
            self._until = self._clock() + self._pause  # whoever comes next waits for this one's answer
            return True

    @property
    def is_open(self) -> bool:
        """Whether the last answer was a failure."""
        return bool(self._pause)

    def answered(self) -> None:
        """The store answered."""
        if self._pause:
            with self._lock:
                self._pause = 0.0

    def failed(self) -> None:
        """It did not: the pause doubles with every failed re-check, up to `MOST_SECONDS`."""
        with self._lock:
            if self._pause and self._clock() < self._until - self._pause:
                return
            self._pause = min(MOST_SECONDS, self._pause * 2 or FIRST_SECONDS)
            self._until = self._clock() + self._pause
