"""
What a rate limit has admitted: counters, and reservations that are not spent yet, under one lock.

Admission is decided once, when units are reserved: used + reserved + wanted <= amount for every counter of the message, or
nothing is taken of any. Spending turns a reservation into used units and cannot fail; giving it back forgets it.

- The lock is held for microseconds and never while anything is awaited; nobody is refused for waiting on it.
- Giving back takes no lock (one append), as it may run in a finalizer, in the middle of anything.
- A send from a signal handler or finalizer that interrupted this very code in its own thread is refused (`Unavailable`):
  it would see half an operation.
- After a fork the child has the counters as they were, a lock of its own and no reservations: those are its parent's.
"""

from __future__ import annotations

import itertools
import os
import threading
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Final, NamedTuple

from guardrails.errors import Unavailable
from guardrails.ratelimit.limit import Limit
from guardrails.ratelimit.storage import SECOND, STRATEGIES, WINDOWS, Span, WindowStorage
from guardrails.ratelimit.windows import FixedWindow, MovingWindow, SlidingWindow

_GONE: Final = "rate limit: the reservation is gone (given back, or made before a fork); nothing was sent"
_REENTERED: Final = (
    "rate limit: asked again from inside itself (a signal handler or finalizer sent a message); nothing was sent"
)


class Rule:
    """One limit, ready for the strategies of `limits`."""

    __slots__ = ("amount", "hit", "limit", "seconds", "span", "window")

    def __init__(self, limit: Limit, storage: WindowStorage, /, *, replicas: int = 1) -> None:
        strategy = STRATEGIES[limit.strategy](storage)
        self.limit: Limit = limit
        self.amount: int = max(1, limit.amount // replicas)  # this process's share of it
        self.seconds: int = limit.window_seconds
        self.span: Span = Span(self.amount, limit.window_seconds)
        self.window: type[FixedWindow | MovingWindow | SlidingWindow] = WINDOWS[limit.strategy]
        self.hit: Callable[..., bool] = strategy.hit

    def one_a_minute(self, storage: WindowStorage, /) -> Rule:
        """The same limit for rehearsals: they shall meet it at once, and be forgotten soon."""
        return Rule(replace(self.limit, rate="1/minute", cost=1, name=self.limit.label), storage)


class Charge(NamedTuple):
    """Units that one message takes of one counter."""

    rule: Rule
    key: str  # a keyed digest
    units: int
    position: int  # of the recipient, from 1; 0 when the counter is not a recipient's


class Refusal(NamedTuple):
    """Which charge does not fit, and when it would."""

    charge: Charge
    retry_after: float | None  # seconds, rounded up to a microsecond; None when it never fits


class Ledger:
    """
    The counters and reservations of one `RateLimit`.

    Args:
        clock: Nanoseconds.
        max_keys: Counters kept at once; beyond it new ones are refused, and live ones are never dropped.
    """

    __slots__ = ("__weakref__", "_busy", "_held", "_holds", "_ids", "_lock", "_returned", "forked", "storage")

    def __init__(self, clock: Callable[[], int], *, max_keys: int) -> None:
        self.storage: WindowStorage = WindowStorage(clock, max_keys=max_keys)
        self.forked: bool = False  # set in a child until somebody has recorded it
        self._ids = itertools.count(1)
        self._fresh()
        _ledgers.add(self)

    def _fresh(self) -> None:
        # Re-entrant, so that the thread that holds it can be told so instead of waiting for itself.
        self._lock = threading.RLock()
        self._busy = False
        self._held: dict[str, int] = {}  # units reserved, by key
        self._holds: dict[int, Sequence[Charge]] = {}
        self._returned: deque[int] = deque()

    def look(self, charges: Sequence[Charge]) -> tuple[Refusal | None, Charge, int]:
        """
        Whether *charges* would fit now. Takes nothing.

        Returns:
            The refusal if not, the charge that leaves least room, and the units it would leave.
        """
        with self._lock:
            if self._busy:
                raise Unavailable(_REENTERED)
            self._busy = True
            try:
                if self._returned:
                    self._drain()
                self.storage.tick()
                return self._judged(charges)
            finally:
                self._busy = False

    def reserve(self, wanted: Sequence[Sequence[Charge]]) -> Refusal | list[int]:
        """
        Reserve all of *wanted*, or nothing.

        Returns:
            One id for each element of *wanted*, or why not.

        Raises:
            Unavailable: The table of counters is full.
        """
        charges = wanted[0] if len(wanted) == 1 else [charge for each in wanted for charge in each]
        with self._lock:
            if self._busy:
                raise Unavailable(_REENTERED)
            self._busy = True
            try:
                if self._returned:
                    self._drain()
                self.storage.tick()
                refusal = self._judged(charges)[0]
                if refusal is not None:
                    return refusal
                windows, held = self.storage.windows, self._held
                for charge in charges:
                    if charge.key not in windows:
                        self._make_room(charges)
                        break
                for _, key, units, _ in charges:
                    held[key] = held.get(key, 0) + units
                ids = []
                for each in wanted:
                    hold = next(self._ids)
                    self._holds[hold] = each
                    ids.append(hold)
                return ids
            finally:
                self._busy = False

    def spend(self, holds: Sequence[int]) -> None:
        """
        Turn reservations into used units.

        Raises:
            Unavailable: A reservation is not there: it was given back, or belongs to the parent of this process.
        """
        with self._lock:
            if self._busy:
                raise Unavailable(_REENTERED)
            self._busy = True
            try:
                if self._returned:
                    self._drain()
                self.storage.tick()
                for hold in holds:
                    if hold not in self._holds:
                        raise Unavailable(_GONE)
                for hold in holds:
                    for rule, key, units, _ in self._forget(hold):
                        if not rule.hit(rule.span, key, cost=units):
                            raise Unavailable("rate limit: a reserved unit did not fit; nothing was sent")
            finally:
                self._busy = False

    def give_back(self, hold: int) -> None:
        """Forget a reservation; one that was spent or given back already is left alone. Takes no lock."""
        self._returned.append(hold)

    def _drain(self) -> None:
        returned = self._returned
        while returned:
            self._forget(returned.popleft())

    def _forget(self, hold: int) -> Sequence[Charge]:
        charges = self._holds.pop(hold, ())
        held = self._held
        for _, key, units, _ in charges:
            rest = held[key] - units
            if rest:
                held[key] = rest
            else:
                del held[key]
        return charges

    def _make_room(self, charges: Sequence[Charge]) -> None:
        """Make the counters that are missing, so that spending cannot fail for want of room."""
        storage = self.storage
        if not storage.has_room(len({charge.key for charge in charges if charge.key not in storage.windows}), self._held):
            raise Unavailable(
                f"rate limit: {storage.max_keys} counters are in use, which is the most this one keeps; "
                "nothing was sent; raise max_keys="
            )
        for rule, key, _, _ in charges:
            storage.touch(key, rule.window, rule.seconds)

    def _judged(self, charges: Sequence[Charge]) -> tuple[Refusal | None, Charge, int]:
        """
        Whether used + reserved + wanted fits for all counters, as `test` of `limits` says, but with what is left.

        Of several refusals the one that has to wait longest; else the charge that leaves least.
        """
        storage, held = self.storage, self._held
        windows, now = storage.windows, storage.now
        if len(charges) == 1:  # most messages: nothing to compare, nothing to add up
            charge = charges[0]
            rule, key, units, _ = charge
            window = windows.get(key)
            left = rule.amount - units - held.get(key, 0) - (0 if window is None else window.used(now))
            return (
                (None, charge, left) if left >= 0 else (Refusal(charge, self._wait(rule, key, units)), charge, rule.amount)
            )
        worst: Refusal | None = None
        tightest, least = charges[0], charges[0].rule.amount
        wanted: dict[str, int] = {}  # by this very message, for a recipient who is named twice
        for charge in charges:
            rule, key, units, _ = charge
            wanted[key] = units = wanted.get(key, 0) + units
            window = windows.get(key)
            left = rule.amount - units - held.get(key, 0) - (0 if window is None else window.used(now))
            if left < 0:
                refusal = Refusal(charge, self._wait(rule, key, units))
                if worst is None or _longer(refusal, worst):
                    worst = refusal
            elif left < least:
                tightest, least = charge, left
        return worst, tightest, least

    def _wait(self, rule: Rule, key: str, cost: int) -> float | None:
        """Seconds until *cost* fits, rounded up to a microsecond; None when it never does."""
        if cost > rule.amount:
            return None
        now = self.storage.now
        window = self.storage.windows.get(key) or rule.window(rule.seconds * SECOND)
        wait = window.free_at(cost, self._held.get(key, 0), rule.amount, now) - now
        return -(-wait // 1_000) / 1_000_000

    def _before_fork(self) -> None:
        self._lock.acquire()

    def _after_fork_in_parent(self) -> None:
        self._lock.release()

    def _after_fork_in_child(self) -> None:
        self._fresh()
        self.forked = True


def _longer(one: Refusal, other: Refusal) -> bool:
    if other.retry_after is None:
        return False
    return one.retry_after is None or one.retry_after > other.retry_after


_ledgers: Final[weakref.WeakSet[Ledger]] = weakref.WeakSet()
_stopped: Final[list[Ledger]] = []  # those whose lock the forking thread holds: no child sees half an operation


def _before_fork() -> None:
    for ledger in list(_ledgers):
        ledger._before_fork()  # noqa: SLF001 - same module
        _stopped.append(ledger)


def _after_fork_in_parent() -> None:
    while _stopped:
        _stopped.pop()._after_fork_in_parent()  # noqa: SLF001


def _after_fork_in_child() -> None:
    while _stopped:
        _stopped.pop()._after_fork_in_child()  # noqa: SLF001


if hasattr(os, "register_at_fork"):
    os.register_at_fork(before=_before_fork, after_in_parent=_after_fork_in_parent, after_in_child=_after_fork_in_child)
