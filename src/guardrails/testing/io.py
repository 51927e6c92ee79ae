"""An `Io` without a clock."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Final, TypeVar

from guardrails.errors import ConfigError

T = TypeVar("T")
_START: Final = datetime(2024, 1, 1, 12, tzinfo=UTC)


class FakeIo:
    """
    An `Io` whose time stands still unless somebody sleeps or advances it. Nothing waits.

    Args:
        now: The time that it starts at (aware).

    Attributes:
        sleeps: Seconds of each `sleep`, in order.
        asked: How often `ask` was called.

    >>> io = FakeIo()
    >>> before = io.monotonic()
    >>> io.advance(90)
    >>> io.monotonic() - before
    90.0
    """

    def __init__(self, *, now: datetime = _START) -> None:
        if now.tzinfo is None:
            raise ConfigError("FakeIo(now=...) must be an aware datetime")
        self.sleeps: list[float] = []
        self.asked: int = 0
        self._now = now.astimezone(UTC)
        self._elapsed = 0.0

    def advance(self, seconds: float) -> None:
        """Let *seconds* pass."""
        self._elapsed += seconds

    async def sleep(self, seconds: float) -> None:
        """Record it, and let the time pass at once."""
        self.sleeps.append(seconds)
        self.advance(seconds)

    def now(self) -> datetime:
        """The fake time: aware, UTC."""
        return self._now + timedelta(seconds=self._elapsed)

    def monotonic(self) -> float:
        """Seconds since this object was made."""
        return self._elapsed

    async def ask(
        self, *, blocking: Callable[[], T] | None = None, awaiting: Callable[[], Awaitable[T]] | None = None
    ) -> T:
        """Call *blocking* here and now; without it await *awaiting*."""
        self.asked += 1
        if blocking is not None:
            return blocking()
        if awaiting is None:
            raise ConfigError("io.ask needs blocking=... or awaiting=...")
        return await awaiting()
