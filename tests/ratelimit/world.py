"""A world whose time passes only when everybody sleeps: coroutines of sends, stepped in the order in which they wake."""

from __future__ import annotations

import heapq
from collections.abc import Awaitable, Coroutine, Generator
from datetime import UTC, datetime, timedelta
from typing import Any

from tests.ratelimit.passage import Clock


class Sleep:
    """What a sleeping coroutine hands to the world."""

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds

    def __await__(self) -> Generator[Sleep, None, None]:
        yield self


class World:
    """An `Io` and the loop behind it."""

    def __init__(self) -> None:
        self.clock = Clock()
        self._queue: list[tuple[int, int, Coroutine[Any, Any, Any]]] = []
        self._number = 0
        self.errors: list[BaseException] = []
        self.slept: list[float] = []

    def monotonic(self) -> float:
        return self.clock()

    def now(self) -> datetime:
        return datetime(2026, 1, 1, tzinfo=UTC) + timedelta(microseconds=self.clock.micros)

    def sleep(self, seconds: float) -> Awaitable[None]:
        self.slept.append(seconds)
        return Sleep(seconds)

    async def ask(self, *, blocking: Any) -> Any:
        return blocking()

    def start(self, coroutine: Coroutine[Any, Any, Any], *, after_seconds: float = 0.0) -> None:
        """Step *coroutine* for the first time when that time has come."""
        self._number += 1
        heapq.heappush(self._queue, (self.clock.micros + round(after_seconds * 1e6), self._number, coroutine))

    def run(self) -> None:
        """Until nobody is left."""
        while self._queue:
            at, _, coroutine = heapq.heappop(self._queue)
            self.clock.micros = max(self.clock.micros, at)
            try:
                sleeping = coroutine.send(None)
            except StopIteration:
                continue
            except Exception as error:  # noqa: BLE001 - the test looks at them
                self.errors.append(error)
            else:
                self.start(coroutine, after_seconds=sleeping.seconds)
