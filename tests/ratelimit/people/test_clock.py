"""Quiet hours and calendar periods against the plainest model: every minute, asked one by one."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails.ratelimit.people.clock import Hours, midnight, period

MINUTE = timedelta(minutes=1)
EVERY_DAY = frozenset(range(7))

# Zones, and a time around which their clocks jump: an hour, half an hour, over midnight, a whole day.
JUMPS = [
    ("America/New_York", datetime(2026, 3, 8, 7, tzinfo=UTC)),
    ("America/New_York", datetime(2026, 11, 1, 6, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 3, 29, 1, tzinfo=UTC)),
    ("Europe/Berlin", datetime(2026, 10, 25, 1, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 4, 4, 15, tzinfo=UTC)),
    ("Australia/Lord_Howe", datetime(2026, 10, 3, 15, 30, tzinfo=UTC)),
    ("America/Sao_Paulo", datetime(2018, 11, 4, 3, tzinfo=UTC)),  # midnight did not exist
    ("America/Havana", datetime(2026, 11, 1, 5, tzinfo=UTC)),  # midnight comes twice
    ("America/Santiago", datetime(2026, 4, 5, 3, tzinfo=UTC)),  # the day before comes back
    ("Africa/Cairo", datetime(2026, 4, 23, 22, tzinfo=UTC)),
    ("Pacific/Apia", datetime(2011, 12, 30, 10, tzinfo=UTC)),  # a day that never was
    ("Asia/Kathmandu", datetime(2026, 6, 1, tzinfo=UTC)),
]
times = st.builds(time, st.integers(0, 23), st.sampled_from([0, 7, 30, 59]))


@settings(max_examples=150, deadline=None)
@given(
    jump=st.sampled_from(JUMPS),
    minutes=st.integers(-1_800, 1_800),
    start=times,
    end=times,
    days=st.sampled_from([EVERY_DAY, frozenset({5, 6}), frozenset({6})]),
)
def test_quiet_hours_are_over_at_the_first_minute_that_is_outside(
    jump: tuple[str, datetime], minutes: int, start: time, end: time, days: frozenset[int]
) -> None:
    zone, around = ZoneInfo(jump[0]), jump[1]
    if start == end:
        return
    hours = Hours(start, end, days)
    now = around + minutes * MINUTE
    expected = now
    while hours.holds(expected.astimezone(zone)):
        expected += MINUTE
        assert expected - now < timedelta(days=3)

    assert hours.over(now, zone) == expected


@pytest.mark.parametrize(("name", "around"), JUMPS)
def test_a_day_begins_at_its_first_instant(name: str, around: datetime) -> None:
    zone = ZoneInfo(name)
    begin = around - timedelta(days=2)
    day = None
    for number in range(4 * 24 * 60):
        now = begin + number * MINUTE
        seen = now.astimezone(zone).date()
        if day is not None and seen > day:
            assert midnight(seen, zone) == now
        day = seen if day is None else max(day, seen)


@given(jump=st.sampled_from(JUMPS), minutes=st.integers(-100_000, 100_000), unit=st.sampled_from(["day", "week", "month"]))
def test_a_period_holds_now_and_ends_where_the_next_begins(jump: tuple[str, datetime], minutes: int, unit: str) -> None:
    zone, now = ZoneInfo(jump[0]), jump[1] + minutes * MINUTE
    begin, end = period(now, unit, zone)

    assert begin < end
    first = begin.astimezone(zone).date()
    if unit == "week":
        assert first.weekday() == 0 or name_of(zone) == "Pacific/Apia"
    if unit == "month":
        assert first.day == 1
    assert now.astimezone(zone).date() >= first
    # A clock that goes back over midnight shows yesterday again: then now is a little before the day's first instant or after it.
    assert begin - timedelta(hours=1) <= now < end + timedelta(hours=1)


def name_of(zone: ZoneInfo) -> str:
    return zone.key


def test_over_midnight_the_day_is_that_of_the_evening() -> None:
    hours = Hours(time(21), time(8), frozenset({4}))  # Friday's night
    monday = datetime(2026, 6, 1, tzinfo=UTC)
    quiet = [
        (monday + timedelta(days=day, hours=hour)).strftime("%a %H")
        for day in range(7)
        for hour in (7, 8, 20, 21)
        if hours.holds(monday + timedelta(days=day, hours=hour))
    ]

    assert quiet == ["Fri 21", "Sat 07"]


def test_hours_that_never_end_are_never_over() -> None:
    always = Hours(time(0), time(23, 59), EVERY_DAY)
    assert always.over(datetime(2026, 1, 1, 12, tzinfo=UTC), ZoneInfo("UTC")) == datetime(2026, 1, 1, 23, 59, tzinfo=UTC)

    class Never(Hours):
        def holds(self, wall: datetime) -> bool:
            return wall is not None

    assert Never(time(0), time(1), EVERY_DAY).over(datetime(2026, 1, 1, tzinfo=UTC), ZoneInfo("UTC")) is None
