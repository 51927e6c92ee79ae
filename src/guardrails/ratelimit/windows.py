"""
What has been used in a window of time, for one counter; in whole units and whole nanoseconds, so nothing is rounded.

Windows are half open: a unit taken at `t` counts until just before `t + length`.
`used` never grows by waiting, and `add` grows it by exactly the units added: a reservation that fitted still fits when it
is spent later. `take_back` undoes an `add` by its time while those units still count, and never touches another window's.
"""

from __future__ import annotations

from bisect import bisect_left
from typing import Protocol

_COMPACT: int = 32  # forgotten entries at the front of a log before it is cut


class Window(Protocol):
    """One counter. Times are nanoseconds of a clock that never goes back."""

    def used(self, now: int) -> int:
        """Units that still count."""

    def add(self, units: int, now: int) -> None:
        """Take units."""

    def take_back(self, at: int, units: int, now: int) -> None:
        """Give back *units* that were added at *at*, if they still count."""

    def free_at(self, cost: int, held: int, amount: int, now: int) -> int:
        """
        The earliest time at which *cost* fits, if nobody else takes anything.

        Args:
            cost: Units wanted; at most *amount*.
            held: Units reserved by others; taken to be spent now.
            amount: Units that fit into one window.
            now: The time.
        """


class FixedWindow:
    """A window that begins with its first unit and ends as a whole."""

    __slots__ = ("_ends", "_length", "_units")

    def __init__(self, length: int, /) -> None:
        self._length = length
        self._ends = 0
        self._units = 0

    def used(self, now: int) -> int:
        """Units that still count."""
        return self._units if now < self._ends else 0

    def add(self, units: int, now: int) -> None:
        """Take units."""
        if self.used(now) == 0:
            self._units = 0
            self._ends = now + self._length
        self._units += units

    def take_back(self, at: int, units: int, now: int) -> None:
        """Give back units of this window."""
        if self._ends - self._length <= at and now < self._ends:
            self._units = max(0, self._units - units)

    def free_at(self, cost: int, held: int, amount: int, now: int) -> int:
        """The end of the window, unless *cost* fits now."""
        used = self.used(now)
        if used + held + cost <= amount:
            return now
        return self._ends if used else now + self._length


class MovingWindow:
    """The time of every unit: exact for every window of that length, wherever it begins."""

    __slots__ = ("_head", "_length", "_log", "_units")

    def __init__(self, length: int, /) -> None:
        self._length = length
        self._log: list[tuple[int, int]] = []  # (time, units), oldest first; entries before `_head` are forgotten
        self._head = 0
        self._units = 0

    def used(self, now: int) -> int:
        """Units that still count."""
        log, head, oldest = self._log, self._head, now - self._length
        if head < len(log) and log[head][0] <= oldest:
            while head < len(log) and log[head][0] <= oldest:
                self._units -= log[head][1]
                head += 1
            if head > _COMPACT and head * 2 > len(log):
                del log[:head]
                head = 0
            self._head = head
        return self._units

    def add(self, units: int, now: int) -> None:
        """Take units."""
        self._log.append((now, units))
        self._units += units

    def take_back(self, at: int, units: int, now: int) -> None:
        """Give back an entry's units, or some of them."""
        if at <= now - self._length:
            return
        log = self._log
        for position in range(bisect_left(log, (at,), lo=self._head), len(log)):
            when, taken = log[position]
            if when != at:
                return
            if taken >= units:
                log[position : position + 1] = [(at, taken - units)] if taken > units else []
                self._units -= units
                return

    def free_at(self, cost: int, held: int, amount: int, now: int) -> int:
        """When enough of the oldest units have left the window."""
        excess = self.used(now) + held + cost - amount
        if excess <= 0:
            return now
        for position in range(self._head, len(self._log)):
            taken_at, units = self._log[position]
            excess -= units
            if excess <= 0:
                return taken_at + self._length
        return now + self._length


class SlidingWindow:
    """
    Two counters: this window's, and the share of the last one's that a window ending now would still cover.

    Windows lie on multiples of the length. The share is rounded down, as `limits` does.
    """

    __slots__ = ("_began", "_current", "_index", "_length", "_previous")

    def __init__(self, length: int, /) -> None:
        self._length = length
        self._index = 0
        self._previous = 0
        self._current = 0
        self._began: int | None = None  # with its first unit: what was taken before a reset is not in it

    def _at(self, now: int) -> tuple[int, int, int]:
        """Index of the window at *now*, units of the one before, units of this one."""
        index = now // self._length
        if index == self._index:
            return index, self._previous, self._current
        return index, self._current if index == self._index + 1 else 0, 0

    def used(self, now: int) -> int:
        """Units that still count."""
        _, previous, current = self._at(now)
        return previous * (self._length - now % self._length) // self._length + current

    def add(self, units: int, now: int) -> None:
        """Take units."""
        self._index, self._previous, current = self._at(now)
        self._current = current + units
        if self._began is None:
            self._began = now

    def take_back(self, at: int, units: int, now: int) -> None:
        """Give back units of this window, or of the last one, whose share shrinks."""
        if self._began is None or at < self._began:
            return
        self._index, self._previous, self._current = self._at(now)
        if at // self._length == self._index:
            self._current = max(0, self._current - units)
        elif at // self._length == self._index - 1:
            self._previous = max(0, self._previous - units)

    def free_at(self, cost: int, held: int, amount: int, now: int) -> int:
        """When the share of earlier units has shrunk enough, in this window or in the next one."""
        if self.used(now) + held + cost <= amount:
            return now
        index, previous, current = self._at(now)
        current += held
        room = amount - cost - current
        if room < 0:  # this window's own units are in the way: wait until they are the last window's
            index, previous, room = index + 1, current, amount - cost
        # The longest rest of the window whose share, rounded down, is at most `room`.
        rest = min(self._length, ((room + 1) * self._length - 1) // previous)
        return (index + 1) * self._length - rest
