"""
Wall clocks, through gaps and folds: when a time of day comes, when a day begins, and when quiet hours are over.

All of it is pure. An instant is aware UTC; what a clock on a wall shows at an instant is never ambiguous, so questions are asked
of instants, and the other way round only to find candidates for them.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, time, timedelta, tzinfo
from functools import lru_cache
from typing import Final

_DAYS_AHEAD: Final = (3, 10)  # most hours are over by tomorrow; else a week, and the ends of it
_DAY: Final = timedelta(days=1)
_LEAST: Final = timedelta(seconds=1)


@dataclass(frozen=True, slots=True)
class Hours:
    """
    A stretch of every day, from *start* until just before *end*; over midnight where *end* is not after *start*.

    Args:
        start: When it begins.
        end: When it is over.
        days: Weekdays (0 is Monday) on which it begins.
    """

    start: time
    end: time
    days: frozenset[int]

    def holds(self, wall: datetime) -> bool:
        """Whether a clock that shows *wall* is inside."""
        now, weekday = wall.time(), wall.weekday()
        if self.start < self.end:
            return self.start <= now < self.end and weekday in self.days
        return (now >= self.start and weekday in self.days) or (now < self.end and (weekday - 1) % 7 in self.days)

    def begins(self, now: datetime, zone: tzinfo) -> datetime | None:
        """The first instant after *now* at which they begin, in *zone*; None when there is none within a week."""
        today = now.astimezone(zone).date()
        days = (today + day * _DAY for day in range(9))
        begins = (
            instant
            for day in days
            if day.weekday() in self.days
            for instant in moments(day, self.start, zone)
            if instant > now
        )
        return next(begins, None)

    def over(self, now: datetime, zone: tzinfo) -> datetime | None:
        """
        The first instant from *now* on that is outside, in *zone*.

        Returns:
            None when there is none within a week.
        """
        if not self.holds(now.astimezone(zone)):
            return now
        first = now.astimezone(zone).date() - _DAY
        for days in _DAYS_AHEAD:
            ends = (
                instant
                for day in range(days)
                for instant in moments(first + day * _DAY, self.end, zone)
                if instant > now and not self.holds(instant.astimezone(zone))
            )
            soonest = min(ends, default=None)
            if soonest is not None:
                return soonest
        return None


def moments(day: date, at: time, zone: tzinfo) -> Iterator[datetime]:
    """Every instant at which a clock in *zone* may come to show *at* on *day*, or jumps there."""
    wall = datetime.combine(day, at)
    for fold in (0, 1):
        yield wall.replace(tzinfo=zone, fold=fold).astimezone(UTC)
    jump = _jump(day, zone)
    if jump is not None:
        yield jump


@lru_cache(maxsize=1_024)
def _jump(day: date, zone: tzinfo) -> datetime | None:
    """The instant around *day* (a day before and after it, in UTC) at which the zone's offset changes."""
    low = datetime.combine(day, time(), tzinfo=UTC) - _DAY
    high = low + 3 * _DAY
    before = low.astimezone(zone).utcoffset()
    if high.astimezone(zone).utcoffset() == before:
        return None
    while high - low > _LEAST:
        middle = low + (high - low) / 2
        middle = middle.replace(microsecond=0)
        if middle <= low:
            break
        if middle.astimezone(zone).utcoffset() == before:
            low = middle
        else:
            high = middle
    return high


def midnight(day: date, zone: tzinfo) -> datetime:
    """The first instant that is on *day* in *zone*; a day may begin later than 00:00, or begin twice."""
    return min(instant for instant in moments(day, time(), zone) if instant.astimezone(zone).date() >= day)


def period(now: datetime, unit: str, zone: tzinfo) -> tuple[datetime, datetime]:
    """The calendar "day", "week" (from Monday) or "month" that is now in *zone*: its first instant, and the next one's."""
    today = now.astimezone(zone).date()
    if unit == "day":
        first, after = today, today + _DAY
    elif unit == "week":
        first = today - today.weekday() * _DAY
        after = first + 7 * _DAY
    else:
        first = today.replace(day=1)
        after = (first + 31 * _DAY).replace(day=1)
    return midnight(first, zone), midnight(after, zone)
