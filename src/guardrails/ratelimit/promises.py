"""What a store is still to be told, and what a process holds there: plain values that the keeper and the sends share."""

from __future__ import annotations

import threading
import time
from collections import deque
from collections.abc import Sequence
from typing import Final, NamedTuple

from guardrails.ratelimit.charge import Charge

_OWED: Final = 10_000  # things to tell that are remembered
_BEATS: Final = 3  # renewals within one lease


class Taking(NamedTuple):
    """What is asked for: one id, and each counter once, with its key in the store."""

    grant: str
    charges: Sequence[Charge]
    names: Sequence[str]


class Owed(NamedTuple):
    """
    Something to tell.

    Args:
        taking: What was taken, or is to be charged.
        back: For each counter to give back units to, its place among the charges, and how many; empty for all of all.
        force: Whether it is to be charged, whatever the limit says.
    """

    taking: Taking
    back: Sequence[tuple[int, int]] = ()
    force: bool = False


class Leases:
    """What this process holds for as long as its sends run, by taking."""

    __slots__ = ("_held", "_lock", "_next")

    def __init__(self) -> None:
        self._held: dict[str, Sequence[Charge]] = {}
        self._lock = threading.Lock()
        self._next = float("inf")  # when the earliest renewal is due

    def hold(self, grant: str, charges: Sequence[Charge]) -> None:
        """A send begins."""
        with self._lock:
            self._held[grant] = charges
            beat = min(charge.rule.seconds for charge in charges) / _BEATS
            self._next = min(self._next, time.monotonic() + beat)

    def drop(self, grant: str) -> None:
        """It has ended."""
        with self._lock:
            if self._held.pop(grant, None) is not None and not self._held:
                self._next = float("inf")

    def due(self) -> list[tuple[str, Charge]]:
        """What is to be renewed now: all of it, if anything is."""
        now = time.monotonic()
        with self._lock:
            if now < self._next:
                return []
            self._next = (
                now
                + min((charge.rule.seconds for charges in self._held.values() for charge in charges), default=float("inf"))
                / _BEATS
            )
            return [(grant, charge) for grant, charges in self._held.items() for charge in charges]

    def pause(self) -> float | None:
        """Seconds until something is due."""
        return None if not self._held else max(0.0, self._next - time.monotonic())


class Debts:
    """Things to tell, oldest first; bounded, and the oldest goes when there are too many."""

    __slots__ = ("_queue",)

    def __init__(self) -> None:
        self._queue: deque[Owed] = deque(maxlen=_OWED)

    def __bool__(self) -> bool:
        return bool(self._queue)

    def __len__(self) -> int:
        return len(self._queue)

    def add(self, owed: Owed) -> None:
        """Remember it; waits for nothing."""
        self._queue.append(owed)

    def next(self) -> Owed | None:
        """The oldest; it is to be added again if it could not be told."""
        try:
            return self._queue.popleft()
        except IndexError:
            return None

    def clear(self) -> None:
        """Forget all of it."""
        self._queue.clear()
