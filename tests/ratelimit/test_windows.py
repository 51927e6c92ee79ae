"""Each window against the plainest model of it: a list of everything that was ever taken."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from math import floor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails.ratelimit.storage import STRATEGIES, WINDOWS, Span, WindowStorage
from guardrails.ratelimit.windows import MovingWindow, Window

LENGTH = 1_000  # of a window in these tests, in its own small unit of time
Taken = list[tuple[int, int]]


def fixed(taken: Taken, now: int) -> int:
    ends, units = 0, 0
    for at, cost in taken:
        if at >= ends:
            ends, units = at + LENGTH, 0
        units += cost
    return units if now < ends else 0


def moving(taken: Taken, now: int) -> int:
    return sum(cost for at, cost in taken if now - LENGTH < at <= now)


def sliding(taken: Taken, now: int) -> int:
    def count(index: int) -> int:
        return sum(cost for at, cost in taken if at // LENGTH == index)

    index = now // LENGTH
    return floor(count(index - 1) * Fraction(LENGTH - now % LENGTH, LENGTH) + count(index))


MODELS: dict[str, Callable[[Taken, int], int]] = {
    "fixed-window": fixed,
    "moving-window": moving,
    "sliding-window-counter": sliding,
}
STEPS = st.lists(st.tuples(st.integers(0, 1_500), st.integers(1, 4), st.integers(0, 3)), max_size=25)


@pytest.mark.parametrize("strategy", MODELS)
@given(steps=STEPS, amount=st.integers(1, 7))
@settings(max_examples=200, deadline=None)
def test_g6_a_window_counts_what_its_model_counts_and_says_when_there_is_room(
    strategy: str, steps: list[tuple[int, int, int]], amount: int
) -> None:
    model, window = MODELS[strategy], WINDOWS[strategy](LENGTH)
    taken: Taken = []
    now = 10_000
    for wait, cost, held in steps:
        before = window.used(now)
        now += wait
        assert model(taken, now) == window.used(now) <= before
        if cost > amount:
            continue
        free_at = window.free_at(cost, 0, amount, now)
        assert free_at == next(at for at in range(now, now + 2 * LENGTH + 1) if model(taken, at) + cost <= amount)
        assert window.free_at(cost, held, amount, now) >= free_at
        if free_at == now:
            window.add(cost, now)
            taken.append((now, cost))
            assert model(taken, now) == window.used(now) <= amount


@pytest.mark.parametrize("strategy", MODELS)
@given(steps=STEPS, amount=st.integers(1, 7))
@settings(max_examples=100, deadline=None)
def test_g6_the_strategies_of_limits_agree_with_what_is_left(
    strategy: str, steps: list[tuple[int, int, int]], amount: int
) -> None:
    now = 10_000_000_000
    storage = WindowStorage(lambda: now, max_keys=5)
    limiter, span, taken = STRATEGIES[strategy](storage), Span(amount, 1), list[tuple[int, int]]()
    for wait, cost, _ in steps:
        now += wait * 1_000_000
        storage.tick()
        fits = MODELS[strategy](taken, now // 1_000_000) + cost <= amount

        assert limiter.test(span, "key", cost=cost) is fits
        assert limiter.get_window_stats(span, "key").remaining == amount - storage.used("key")
        if fits:
            assert limiter.hit(span, "key", cost=cost)
            taken.append((now // 1_000_000, cost))
        elif (
            strategy != "fixed-window"
        ):  # there a refused hit counts, which is why nothing is hit before it is known to fit
            assert not limiter.hit(span, "key", cost=cost)


@given(st.lists(st.tuples(st.integers(0, 700), st.integers(1, 3)), min_size=1, max_size=60))
@settings(max_examples=100, deadline=None)
def test_g6_no_stretch_of_time_holds_more_than_the_amount(sends: list[tuple[int, int]]) -> None:
    window, now, taken = MovingWindow(LENGTH), 0, list[tuple[int, int]]()
    for wait, cost in sends:
        now += wait
        if window.used(now) + cost <= 5:
            window.add(cost, now)
            taken.append((now, cost))

    for start, _ in taken:
        assert sum(cost for at, cost in taken if start <= at < start + LENGTH) <= 5


def test_a_moving_window_forgets_what_is_over() -> None:
    window = MovingWindow(10)
    for now in range(10_000):
        window.used(now)
        window.add(1, now)

    assert window.used(9_999) == 10
    assert len(window._log) < 100


def _touched(storage: WindowStorage, key: str) -> Window:
    window = storage.touch(key, MovingWindow, 1)
    window.add(1, storage.now)
    return window


def test_g11_the_table_is_bounded_and_live_counters_are_never_dropped() -> None:
    now = 0
    storage = WindowStorage(lambda: now, max_keys=10)
    for number in range(10):
        _touched(storage, str(number))

    assert not storage.has_room(1, {})
    assert len(storage.windows) == 10

    now = 1_000_000_000
    storage.tick()
    assert storage.has_room(9, {"3": 1})
    assert list(storage.windows) == ["3"]
    assert not storage.has_room(10, {"3": 1})


def test_g11_what_is_over_is_swept_a_little_at_a_time() -> None:
    now = 0
    storage = WindowStorage(lambda: now, max_keys=10_000)
    sizes = []
    for number in range(3_000):
        now = number * 10_000_000  # a hundred live keys at any time
        storage.tick()
        assert storage.has_room(1, {})
        _touched(storage, str(number))
        sizes.append(len(storage.windows))

    assert max(sizes) < 250
    assert sorted(storage._ring) == sorted(storage.windows)


def test_a_storage_can_be_cleared() -> None:
    storage = WindowStorage(lambda: 0, max_keys=10)
    _touched(storage, "a")
    storage.clear_sliding_window("a", 1)
    storage.clear("never there")
    assert storage.windows == {}
    _touched(storage, "a")
    _touched(storage, "b")

    assert storage.check()
    assert storage.reset() == 2
    assert (storage.windows, list(storage._ring)) == ({}, [])
    assert storage.base_exceptions is ValueError
    assert repr(Span(5, 60)) == "Span(5 per 60 s)"
