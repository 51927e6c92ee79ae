"""`wait=`: bounded, jittered, cancellable, holding nothing but a place, and nobody starves."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Coroutine
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails import Guard, Message, RateLimited, Unavailable, monitor
from guardrails.errors import ConfigError, NeverFits
from guardrails.ratelimit import Limit, RateLimit
from guardrails.ratelimit.waiting import pause
from tests.ratelimit.passage import Passage, Refused, send
from tests.ratelimit.world import World

STRATEGIES = ("fixed-window", "moving-window", "sliding-window-counter")


def one(world: World, control: RateLimit, log: list[Any], name: Any, **more: Any) -> Coroutine[Any, Any, None]:
    """A send that writes down when it was let through, or what it was told."""

    async def sending() -> None:
        call: Any = Passage(Message("hello", channel="sms", recipients=more.pop("to", ()), **more))
        fake: Any = world
        call.io = world
        try:
            await control.guard(call, call.forward, fake)
        except RateLimited as refused:
            log.append((name, world.clock(), refused))
        else:
            log.append((name, world.clock(), None))

    return sending()


@settings(max_examples=150, deadline=None)
@given(
    strategy=st.sampled_from(STRATEGIES),
    amount=st.integers(1, 4),
    arrivals=st.lists(st.tuples(st.integers(0, 300), st.integers(1, 4)), min_size=1, max_size=25),
)
def test_g6_whoever_waits_is_not_overtaken_and_nobody_starves(
    strategy: str, amount: int, arrivals: list[tuple[int, int]]
) -> None:
    world = World()
    costs = {number: min(cost, amount) for number, (_, cost) in enumerate(arrivals)}
    control = RateLimit(
        Limit(f"{amount}/second", strategy=strategy, cost=lambda message: int(message.text)),
        wait=3_600,
        clock=world.clock,
    )
    through: list[tuple[int, float]] = []

    async def sending(number: int) -> None:
        call: Any = Passage(Message(str(costs[number]), channel="sms"))
        fake: Any = world
        call.io = world
        await control.guard(call, call.forward, fake)
        through.append((number, world.clock()))

    for number, (at, _) in enumerate(arrivals):
        world.start(sending(number), after_seconds=at / 100)
    world.run()

    assert world.errors == []
    assert sorted(number for number, _ in through) == sorted(costs)  # all of them, however many came later
    if strategy == "moving-window":  # exact in every window of a second
        for begin in [at for _, at in through]:
            assert sum(costs[number] for number, at in through if begin <= at < begin + 1) <= amount
    assert control._ledger._held == {}
    assert not control._ledger._line


@settings(max_examples=100, deadline=None)
@given(strategy=st.sampled_from(STRATEGIES), arrivals=st.lists(st.integers(0, 300), min_size=2, max_size=20))
def test_g6_where_one_fits_at_a_time_they_go_in_the_order_in_which_they_came(strategy: str, arrivals: list[int]) -> None:
    world = World()
    control = RateLimit(Limit("1/second", strategy=strategy), wait=3_600, clock=world.clock)
    log: list[Any] = []
    for at in sorted(arrivals):
        world.start(one(world, control, log, at), after_seconds=at / 100)
    world.run()

    assert [at for at, _, _ in log] == sorted(arrivals)


def test_a_message_waits_as_long_as_it_must_and_the_record_says_so() -> None:
    world = World()
    control = RateLimit("1/second", wait=5, clock=world.clock)
    log: list[Any] = []
    world.start(one(world, control, log, "first"))
    world.start(one(world, control, log, "second"), after_seconds=0.25)
    world.run()

    assert [name for name, _, refused in log if refused is None] == ["first", "second"]
    assert 1.0 <= log[1][1] - log[0][1] <= 1.1


def test_what_would_have_to_wait_too_long_is_refused_at_once() -> None:
    world = World()
    control = RateLimit("1/minute", wait=5, clock=world.clock)
    log: list[Any] = []
    world.start(one(world, control, log, "first"))
    world.start(one(world, control, log, "second"), after_seconds=1)
    world.run()

    assert world.slept == []
    assert log[1][2].retry_after == pytest.approx(59)
    assert not control._ledger._line


def test_a_wait_is_bounded_also_when_others_are_before_it() -> None:
    world = World()
    control = RateLimit("1/second", wait=2.5, clock=world.clock)
    log: list[Any] = []
    for number in range(8):
        world.start(one(world, control, log, number))
    begun = world.clock()
    world.run()

    assert [name for name, _, refused in log if refused is None] == [0, 1, 2]
    assert all(when - begun <= 2.5 + 1e-6 for _, when, _ in log)


def test_of_several_limits_the_least_patient_decides() -> None:
    world = World()
    control = RateLimit(Limit("1/second", name="a", wait=10), Limit("1/second", name="b"), clock=world.clock)
    log: list[Any] = []
    world.start(one(world, control, log, "first"))
    world.start(one(world, control, log, "second"))
    world.run()

    assert log[1][2] is not None
    assert world.slept == []


def test_one_recipients_wait_keeps_nobody_elses_room() -> None:
    world = World()
    limits = (Limit("1/second", per="recipient"), Limit("100/second", name="all"))
    control = RateLimit(*limits, wait=5, clock=world.clock)
    log: list[Any] = []
    for number in range(4):
        world.start(one(world, control, log, ("ann", number), to="ann@example.com"))
    world.start(one(world, control, log, "bob", to="bob@example.com"), after_seconds=0.1)
    world.run()

    assert [name for name, _, refused in log if refused is None][:2] == [("ann", 0), "bob"]
    assert all(refused is None for _, _, refused in log)


def test_what_never_fits_is_not_waited_for() -> None:
    control = RateLimit(Limit("3/second", cost=4), wait=5)
    with pytest.raises(NeverFits) as refused:
        send(control)
    assert refused.value.retry_after is None


def test_g6_a_message_that_waited_and_is_refused_by_somebody_else_costs_nothing() -> None:
    world = World()
    control = RateLimit("1/second", wait=5, clock=world.clock)
    send(control)

    async def refused_inside() -> None:
        call: Any = Passage(Message("hello", channel="sms"))
        fake: Any = world

        async def refuse(_: Any) -> str:
            raise Refused

        with pytest.raises(Refused):
            await control.guard(call, refuse, fake)

    world.start(refused_inside())
    world.run()

    assert world.errors == []
    assert not control._ledger._holds
    send(control)
    control._ledger._drain()
    assert not control._ledger._line


def sent(to: str, body: str) -> str:
    return "sent"


def test_a_preview_and_a_control_that_only_watches_wait_for_nothing() -> None:
    limit = RateLimit("1/hour", wait=3_600)
    guard = Guard(monitor(limit), channel="sms")
    begun = time.monotonic()
    for _ in range(3):
        guard.wrap(sent)("+12125550173", "hello")
    assert not Guard(limit, channel="sms").preview("hello", recipient="+12125550173").allowed
    assert time.monotonic() - begun < 2


def guarded(rate: str, wait: float) -> tuple[RateLimit, Any]:
    limit = RateLimit(rate, wait=wait)

    @Guard(limit, channel="sms")
    async def send(to: str, body: str) -> str:
        return "sent"

    return limit, send


def test_a_wait_is_cancelled_like_any_other_and_leaves_the_line(run: Any) -> None:
    limit, send = guarded("1/hour", 3_600)

    async def main() -> None:
        await send("+12125550173", "hello")
        if run.__name__ == "on_trio":
            with trio.move_on_after(0.05) as scope:
                await send("+12125550173", "hello")
            assert scope.cancelled_caught
        else:
            with pytest.raises(TimeoutError):
                async with asyncio.timeout(0.05):
                    await send("+12125550173", "hello")

    run(main)
    limit._ledger._drain()
    assert not limit._ledger._line
    assert limit._ledger._held == {}


def test_a_wait_may_be_longer_than_the_deadline_of_other_controls() -> None:
    assert RateLimit("1/hour", wait=60).deadline_seconds == 65


def test_threads_wait_without_holding_anything_and_exactly_as_many_pass() -> None:
    limit = RateLimit("5/second", wait=0.9)
    send = Guard(limit, channel="sms").wrap(sent)
    barrier = threading.Barrier(20)
    results: list[bool] = []

    def one_send() -> None:
        barrier.wait()
        try:
            send("+12125550173", "hello")
        except RateLimited:
            results.append(False)
        else:
            results.append(True)

    threads = [threading.Thread(target=one_send) for _ in range(20)]
    begun = time.monotonic()
    for thread in threads:
        thread.start()
    barrier_free = Guard(RateLimit("5/second"), channel="sms").wrap(sent)
    assert barrier_free("+12125550173", "hello") == "sent"
    for thread in threads:
        thread.join()
    assert sum(results) == 5
    assert time.monotonic() - begun < 5


def test_g11_the_line_is_bounded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("guardrails.ratelimit.line.MOST", 2)
    world = World()
    control = RateLimit("1/second", wait=60, clock=world.clock)
    log: list[Any] = []
    for number in range(4):
        world.start(one(world, control, log, number))
    world.run()

    assert [type(error) for error in world.errors] == [Unavailable]
    assert [name for name, _, refused in log if refused is None] == [0, 1, 2]


@given(st.floats(0.001, 4_000), st.floats(0.001, 4_000), st.floats(0, 1))
def test_a_pause_is_within_what_is_left_and_never_too_short(retry_after: float, left: float, chance: float) -> None:
    seconds = pause(retry_after, left, chance=chance)
    if retry_after > left:
        assert seconds is None
    else:
        assert seconds is not None
        assert 0 < seconds <= left
        assert seconds >= min(retry_after, 1.0, left)


@pytest.mark.parametrize(
    ("more", "says"),
    [
        ({"on_limit": "queue"}, "deny"),
        ({"on_limit": "wait"}, "bound"),
        ({"on_limit": "deny", "wait": 1}, "leave one of them out"),
        ({"wait": 0}, "more than 0"),
        ({"wait": -1}, "more than 0"),
        ({"wait": float("nan")}, "more than 0"),
        ({"wait": float("inf")}, "at most"),
        ({"wait": True}, "more than 0"),
        ({"wait": "5"}, "more than 0"),
    ],
)
def test_a_wait_that_is_no_bound_is_refused(more: dict[str, Any], says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        RateLimit("1/second", **more)


def test_both_spellings_mean_the_same() -> None:
    assert RateLimit("1/second", on_limit="wait", wait=2)._patience == RateLimit("1/second", wait=2)._patience == 2
    assert RateLimit("1/second", on_limit="deny")._patience == RateLimit(Limit("1/second"))._patience == 0
