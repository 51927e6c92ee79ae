"""
What a rate limit has admitted: counters, and reservations that are not spent yet, under one lock.

Admission is decided once, when units are reserved: used + reserved + wanted <= amount for every counter of the message, or
nothing is taken of any. Spending turns a reservation into used units and cannot fail; giving it back forgets it.

- The lock is held for microseconds and never while anything is awaited; nobody is refused for waiting on it.
- Giving back takes no lock (one append), as it may run in a finalizer, in the middle of anything.
- Used units are given back only to the window that they were taken of, and what a send turned out to cost beyond them is
  added to whatever there is: it was sent already.
- Who waits stands in line: units of those who came earlier count as taken for whoever came later.
- A send from a signal handler or finalizer that interrupted this very code in its own thread is refused (`Unavailable`):
  it would see half an operation.
- After a fork the child has the counters as they were, a lock of its own and no reservations: those are its parent's.
"""

from __future__ import annotations

import itertools
import threading
from collections import deque
from collections.abc import Callable, Sequence
from typing import Final

from guardrails.core import forks
from guardrails.errors import Unavailable
from guardrails.ratelimit.charge import LEASE_RETRY_SECONDS, Charge, Refusal, Rule
from guardrails.ratelimit.line import Line
from guardrails.ratelimit.storage import SECOND, WindowStorage

_GONE: Final = "rate limit: the reservation is gone (given back, or made before a fork); nothing was sent"
_REENTERED: Final = (
    "rate limit: asked again from inside itself (a signal handler or finalizer sent a message); nothing was sent"
)


class Ledger:
    """
    The counters and reservations of one `RateLimit`.

    Args:
        clock: Nanoseconds.
        max_keys: Counters kept at once; beyond it new ones are refused, and live ones are never dropped.
    """

    __slots__ = (
        "__weakref__", "_busy", "_corrections", "_held", "_holds", "_ids", "_line", "_lock", "_returned", "forked", "storage",
    )  # fmt: skip

    def __init__(self, clock: Callable[[], int], *, max_keys: int) -> None:
        self.storage: WindowStorage = WindowStorage(clock, max_keys=max_keys)
        self.forked: bool = False  # set in a child until somebody has recorded it
        self._ids = itertools.count(1)
        self._fresh()
        forks.watch(self)

    def _fresh(self) -> None:
        # Re-entrant, so that the thread that holds it can be told so instead of waiting for itself.
        self._lock = threading.RLock()
        self._busy = False
        self._held: dict[str, int] = {}  # units reserved, by key
        self._holds: dict[int, Sequence[Charge]] = {}
        self._returned: deque[int] = deque()
        self._corrections: deque[tuple[Charge, int, int]] = deque()
        self._line = Line()

    def look(self, charges: Sequence[Charge], place: int = 0) -> tuple[Refusal | None, Charge, int]:
        """
        Whether *charges* would fit now. Takes nothing.

        Args:
            charges: What is wanted.
            place: In the line; 0 for somebody who comes now.

        Returns:
            The refusal if not, the charge that leaves least room, and the units it would leave.
        """
        with self._lock:
            if self._busy:
                raise Unavailable(_REENTERED)
            self._busy = True
            try:
                self.storage.tick()
                if self._returned or self._corrections:
                    self._drain()
                return self._judged(charges, place)
            finally:
                self._busy = False

    def used(self, charges: Sequence[Charge]) -> list[tuple[int, float | None]]:
        """For each counter: units that count now or are reserved, and seconds until one more fits."""
        with self._lock:
            self.storage.tick()
            self._drain()
            found = []
            for rule, key, _, _ in charges:
                used = self.storage.used(key) + self._held.get(key, 0)
                found.append((used, 0.0 if used < rule.amount else self._wait(rule, key, 1, 0)))
            return found

    def forget_counters(self, charges: Sequence[Charge]) -> int:
        """Forget what was used; reservations stay. How many counters there were."""
        with self._lock:
            known = [charge.key for charge in charges if charge.key in self.storage.windows]
            for key in known:
                self.storage.clear(key)
            return len(known)

    def stand(self, charges: Sequence[Charge]) -> int:
        """
        Stand in line.

        Returns:
            The place.

        Raises:
            Unavailable: Too many wait.
        """
        with self._lock:
            if self._busy:
                raise Unavailable(_REENTERED)
            place = next(self._ids)
            self._line.join(place, [(charge.key, charge.units) for charge in charges])
            return place

    def reserve(self, wanted: Sequence[Sequence[Charge]], place: int = 0) -> Refusal | list[int]:
        """
        Reserve all of *wanted*, or nothing; who gets it leaves the line.

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
                self.storage.tick()
                if self._returned or self._corrections:
                    self._drain()
                refusal = self._judged(charges, place)[0]
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
                if place:
                    self._line.leave(place)
                return ids
            finally:
                self._busy = False

    def spend(self, holds: Sequence[int]) -> int:
        """
        Turn reservations into used units.

        Returns:
            The time, by which they can be corrected.

        Raises:
            Unavailable: A reservation is not there: it was given back, or belongs to the parent of this process.
        """
        with self._lock:
            if self._busy:
                raise Unavailable(_REENTERED)
            self._busy = True
            try:
                storage = self.storage
                storage.tick()
                if self._returned or self._corrections:
                    self._drain()
                for hold in holds:
                    if hold not in self._holds:
                        raise Unavailable(_GONE)
                for hold in holds:
                    for rule, key, units, _ in self._forget(hold):
                        if not rule.hit(rule.span, key, cost=units):
                            raise Unavailable("rate limit: a reserved unit did not fit; nothing was sent")
                return storage.now
            finally:
                self._busy = False

    def give_back(self, number: int) -> None:
        """Forget a reservation or a place in the line; one that is no more is left alone. Takes no lock."""
        self._returned.append(number)

    def correct(self, charge: Charge, at: int, units: int) -> None:
        """
        What was spent of *charge* at the time *at* is *units*: give back the rest to its window, or add what is missing.

        Waits for nothing: done now if nobody asks at the moment, else before the next decision.
        """
        self._corrections.append((charge, at, units))
        if self._lock.acquire(blocking=False):
            try:
                if not self._busy:
                    self._busy = True
                    try:
                        self.storage.tick()
                        self._drain()
                    finally:
                        self._busy = False
            finally:
                self._lock.release()

    def _drain(self) -> None:
        returned, corrections, storage = self._returned, self._corrections, self.storage
        while returned:
            number = returned.popleft()
            if not self._line.leave(number):
                self._forget(number)
        while corrections:
            (rule, key, taken, _), at, units = corrections.popleft()
            if units > taken:
                storage.touch(key, rule.window, rule.seconds).add(units - taken, storage.now)
            elif key in storage.windows:
                storage.windows[key].take_back(at, taken - units, storage.now)

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

    def _judged(self, charges: Sequence[Charge], place: int) -> tuple[Refusal | None, Charge, int]:
        """
        Whether used + reserved + wanted fits for all counters, as `test` of `limits` says, but with what is left.

        Of several refusals the one that has to wait longest; else the charge that leaves least.
        """
        storage, held, line = self.storage, self._held, self._line
        windows, now = storage.windows, storage.now
        if len(charges) == 1 and not line:  # most messages: nothing to compare, nothing to add up
            charge = charges[0]
            rule, key, units, _ = charge
            window = windows.get(key)
            left = rule.amount - units - held.get(key, 0) - (0 if window is None else window.used(now))
            return (
                (None, charge, left)
                if left >= 0
                else (Refusal(charge, self._wait(rule, key, units, 0), rule.wait), charge, rule.amount)
            )
        worst: Refusal | None = None
        patience = float("inf")
        tightest, least = charges[0], charges[0].rule.amount
        wanted: dict[str, int] = {}  # by this very message, for a recipient who is named twice
        for charge in charges:
            rule, key, units, _ = charge
            wanted[key] = units = wanted.get(key, 0) + units
            window = windows.get(key)
            ahead = line.ahead(key, place) if line else 0
            left = rule.amount - units - held.get(key, 0) - ahead - (0 if window is None else window.used(now))
            if left < 0:
                refusal = Refusal(charge, self._wait(rule, key, units, ahead))
                patience = min(patience, rule.wait)
                if worst is None or _longer(refusal, worst):
                    worst = refusal
            elif left < least:
                tightest, least = charge, left
        return (None if worst is None else worst._replace(wait=patience)), tightest, least

    def _wait(self, rule: Rule, key: str, cost: int, ahead: int) -> float | None:
        """Seconds until *cost* fits, rounded up to a microsecond; None when it never does."""
        if cost > rule.amount:
            return None
        if rule.is_lease:
            return LEASE_RETRY_SECONDS
        now = self.storage.now
        window = self.storage.windows.get(key) or rule.window(rule.seconds * SECOND)
        wait = window.free_at(cost, self._held.get(key, 0) + ahead, rule.amount, now) - now
        return -(-wait // 1_000) / 1_000_000

    def before_fork(self) -> None:
        """Stand still: no child sees half an operation."""
        self._lock.acquire()

    def after_fork_in_parent(self) -> None:
        """Go on."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Go on with the counters, a lock of its own, and nobody's reservations."""
        self._fresh()
        self.forked = True


def _longer(one: Refusal, other: Refusal) -> bool:
    if other.retry_after is None:
        return False
    return one.retry_after is None or one.retry_after > other.retry_after
