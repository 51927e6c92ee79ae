"""
Memory storage for the strategies of `limits`, without the traps of its own (5.8.0).

`limits.storage.MemoryStorage` starts threads that keep a process alive and sweep all keys at once, over-admits when threads
race (its expiry is set after its count), reads the wall clock, counts an entry of exactly the window's age in one method
and not in the other, and keeps keys without bound. This one has no threads and no locks (the ledger that owns it holds
one lock around everything), one time for a whole operation, whole numbers, and a bounded table from which a counter that
still counts is never dropped.

This module is the only one that imports `limits`; it is imported when the first `RateLimit` is built.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Container
from typing import Final

from limits.limits import RateLimitItem
from limits.storage.base import MovingWindowSupport, SlidingWindowCounterSupport, Storage
from limits.strategies import (
    FixedWindowRateLimiter,
    MovingWindowRateLimiter,
    RateLimiter,
    SlidingWindowCounterRateLimiter,
)

from guardrails.ratelimit.windows import FixedWindow, MovingWindow, SlidingWindow, Window

SECOND: Final = 1_000_000_000  # nanoseconds
_SWEPT_PER_NEW: Final = 2
_SWEPT_WHEN_FULL: Final = 64

WINDOWS: Final[dict[str, type[FixedWindow | MovingWindow | SlidingWindow]]] = {
    "fixed-window": FixedWindow,
    "moving-window": MovingWindow,
    "sliding-window-counter": SlidingWindow,
}
STRATEGIES: Final[dict[str, type[RateLimiter]]] = {
    "fixed-window": FixedWindowRateLimiter,
    "moving-window": MovingWindowRateLimiter,
    "sliding-window-counter": SlidingWindowCounterRateLimiter,
}


class Span(RateLimitItem):
    """
    Amount and length of a window, for the strategies of `limits`.

    Its key is the caller's digest alone: with the amount in the key (as `limits` has it) a changed limit forgets its past,
    and joining identifiers with "/" makes ("a/b", "c") and ("a", "b/c") one.
    """

    __slots__ = ("seconds",)

    def __init__(self, amount: int, seconds: int) -> None:
        self.namespace = ""
        self.amount = amount
        self.multiples = seconds
        self.seconds: int = seconds

    def get_expiry(self) -> int:
        """Length of the window in seconds."""
        return self.seconds

    def key_for(self, *identifiers: bytes | str | float) -> str:
        """The only identifier, which is a digest."""
        return str(identifiers[0])

    def __repr__(self) -> str:
        return f"Span({self.amount} per {self.seconds} s)"


class WindowStorage(Storage, MovingWindowSupport, SlidingWindowCounterSupport):
    """
    Counters by key, as of one time.

    Args:
        clock: Nanoseconds; steps backwards are taken as standing still, so that they neither free nor lock anything.
        max_keys: Counters kept at once.
    """

    STORAGE_SCHEME: list[str] | None = None

    def __init__(self, clock: Callable[[], int], *, max_keys: int) -> None:
        super().__init__()
        self.now: int = 0
        self.windows: dict[str, Window] = {}
        self.max_keys = max_keys
        self._clock = clock
        self._read = clock()
        self._stood_still = 0
        self._ring: deque[str] = deque()  # every key once, in the order in which they are looked at for sweeping

    def tick(self) -> None:
        """Read the clock once, for everything until the next tick."""
        read = self._clock()
        if read < self._read:
            self._stood_still += self._read - read
        self._read = read
        self.now = read + self._stood_still

    def used(self, key: str) -> int:
        """Units that count now; asking makes no counter."""
        window = self.windows.get(key)
        return 0 if window is None else window.used(self.now)

    def has_room(self, new: int, held: Container[str]) -> bool:
        """
        Whether *new* more counters fit; forgets some that are over, never one that counts or is in *held*.

        Twice as many are looked at as are made: amortised, so that no call pays for all keys and none stays for ever.
        """
        self.sweep(held, _SWEPT_PER_NEW * new)
        if len(self.windows) + new > self.max_keys:
            self.sweep(held, _SWEPT_WHEN_FULL + new)
        return len(self.windows) + new <= self.max_keys

    def touch(self, key: str, kind: type[FixedWindow | MovingWindow | SlidingWindow], seconds: int) -> Window:
        """The counter of *key*, made if there is none."""
        window = self.windows.get(key)
        if window is None:
            window = self.windows[key] = kind(seconds * SECOND)
            self._ring.append(key)
        return window

    def sweep(self, held: Container[str], looks: int) -> None:
        """Look at a few counters and forget those that are over."""
        for _ in range(min(looks, len(self._ring))):
            key = self._ring.popleft()
            if key in held or self.windows[key].used(self.now):
                self._ring.append(key)
            else:
                del self.windows[key]

    # What the strategies of `limits` ask for.

    @property
    def base_exceptions(self) -> type[Exception]:
        """Nothing here fails by itself."""
        return ValueError

    def incr(self, key: str, expiry: int, amount: int = 1) -> int:
        """Take units of a fixed window."""
        window = self.touch(key, FixedWindow, expiry)
        window.add(amount, self.now)
        return window.used(self.now)

    def get(self, key: str) -> int:
        """Units used of a fixed window."""
        return self.used(key)

    def get_expiry(self, key: str) -> float:
        """Seconds of our clock at which a window of no units is empty."""
        window = self.windows.get(key)
        return (self.now if window is None else window.free_at(1, 0, 1, self.now)) / SECOND

    def acquire_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Take units of a moving window."""
        return self._taken(self.touch(key, MovingWindow, expiry), limit, amount)

    def get_moving_window(self, key: str, limit: int, expiry: int) -> tuple[float, int]:  # noqa: ARG002 - as declared there
        """Start of the window, and units used."""
        return self.now / SECOND - expiry, self.used(key)

    def acquire_sliding_window_entry(self, key: str, limit: int, expiry: int, amount: int = 1) -> bool:
        """Take units of a sliding window."""
        return self._taken(self.touch(key, SlidingWindow, expiry), limit, amount)

    def get_sliding_window(self, key: str, expiry: int) -> tuple[int, float, int, float]:
        """The weighted sum as this window's count: weighed here in whole numbers, so `limits` has no fractions to round."""
        return 0, 0.0, self.used(key), float(expiry)

    def clear_sliding_window(self, key: str, expiry: int) -> None:  # noqa: ARG002 - as declared there
        """Forget a counter."""
        self.clear(key)

    def clear(self, key: str) -> None:
        """Forget a counter."""
        if self.windows.pop(key, None) is not None:
            self._ring.remove(key)

    def check(self) -> bool:
        """Memory is always there."""
        return True

    def reset(self) -> int:
        """Forget all counters."""
        forgotten = len(self.windows)
        self.windows.clear()
        self._ring.clear()
        return forgotten

    def _taken(self, window: Window, limit: int, units: int) -> bool:
        if window.used(self.now) + units > limit:
            return False
        window.add(units, self.now)
        return True
