# ruff: noqa: ARG002 - controls take what the contract gives them
"""G10: a control that takes too long denies, wherever it spends its time; what it forwards to does not count."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Awaitable, Callable
from typing import Any

import pytest
import trio

from guardrails.core.call import Call
from guardrails.core.checks import check, monitor
from guardrails.core.control import Forward, Io
from guardrails.core.guard import Guard
from guardrails.core.message import Message
from guardrails.errors import ControlError, Denied, GuardrailsError
from guardrails.testing import RecordingSend, assert_never_sent
from tests.conftest import Run, on_asyncio, on_trio
from tests.core.doubles import Look, Record
from tests.core.ways import ASYNC_WAYS, TO, WAYS, Way

SHORT = 0.02


def hold(seconds: float) -> None:
    """Keep the thread busy, as a slow regex does."""
    until = time.monotonic() + seconds
    while time.monotonic() < until:
        pass


class Slow:
    """Spends its time as it is told, before or after it forwards."""

    deadline_seconds = SHORT

    def __init__(self, spend: Callable[[Io], Awaitable[Any]], *, after: bool = False) -> None:
        self.spend = spend
        self.after = after

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
        if not self.after:
            await self.spend(io)
        reply = await forward(call)
        if self.after:
            await self.spend(io)
        return reply


async def holds_the_thread(io: Io) -> None:
    hold(SHORT * 2)


async def sleeps_through_io(io: Io) -> None:
    await io.sleep(30)


async def swallows_the_end_of_its_sleep(io: Io) -> None:
    with contextlib.suppress(BaseException):
        await io.sleep(30)


async def replies_with_a_refusal_too_late(io: Io) -> None:
    hold(SHORT * 2)
    raise Denied("late")


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("spend", [holds_the_thread, sleeps_through_io, swallows_the_end_of_its_sleep])
def test_g10_a_control_that_overruns_before_it_forwards_sends_nothing(way: Way, spend: Any) -> None:
    record, send = Record(), way.send()
    began = time.monotonic()
    with pytest.raises(ControlError, match="overran its deadline") as caught:
        way.deliver(Guard(record, Slow(spend), channel="sms"), send)
    assert time.monotonic() - began < 5
    assert_never_sent(send)
    assert record.intents == []
    assert caught.value.control == "Slow"
    assert caught.value.where
    assert caught.value.sent is False


@pytest.mark.parametrize("way", [way for way in WAYS if way.kind == "function"], ids=str)
@pytest.mark.parametrize("spend", [holds_the_thread, sleeps_through_io, swallows_the_end_of_its_sleep])
def test_g10_a_control_that_overruns_after_the_send_withholds_the_reply(way: Way, spend: Any) -> None:
    record, send = Record(), way.send()
    with pytest.raises(ControlError, match="overran its deadline") as caught:
        way.deliver(Guard(record, Slow(spend, after=True), channel="sms"), send)
    streams = way.shape in ("generator", "async generator")
    assert len(send.calls) == (0 if streams else 1)
    assert caught.value.sent is not streams
    assert len(record.intents) == len(record.outcomes) == 1


@pytest.mark.parametrize("way", [way for way in WAYS if way.kind == "function"], ids=str)
def test_a_refusal_that_comes_too_late_is_still_a_refusal(way: Way) -> None:
    send = way.send()
    with pytest.raises(GuardrailsError):
        way.deliver(Guard(Slow(replies_with_a_refusal_too_late), channel="sms"), send)
    assert_never_sent(send)


@pytest.mark.parametrize("loop", ["asyncio", "trio"])
def test_g10_a_control_that_awaits_for_ever_denies(loop: str) -> None:
    async def for_ever(io: Io) -> None:
        if loop == "asyncio":
            await asyncio.get_running_loop().create_future()
        else:
            await trio.sleep_forever()

    send = RecordingSend(shape="async")
    guard = Guard(Record(), Slow(for_ever), channel="sms")
    run = on_asyncio if loop == "asyncio" else on_trio
    with pytest.raises(ControlError, match="overran its deadline"):
        run(lambda: guard(send)(TO, "hello"))
    assert_never_sent(send)


def test_g10_a_control_that_swallows_every_cancellation_is_abandoned_and_nothing_is_sent() -> None:
    async def clings(io: Io) -> None:
        while True:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(30)

    record, send = Record(), RecordingSend(shape="async")
    guard = Guard(record, Slow(clings), channel="sms")

    async def main() -> int:
        with pytest.raises(ControlError) as caught:
            await guard(send)(TO, "hello")
        assert caught.value.control == "Slow"
        assert caught.value.sent is False
        task = asyncio.current_task()
        assert task is not None
        await asyncio.sleep(0)  # nothing of ours cancels it any more
        return task.cancelling()

    assert on_asyncio(main) == 0
    assert_never_sent(send)
    assert record.intents == []


@pytest.mark.parametrize("swallowed", [1, 2, 3])
def test_g10_a_control_that_swallows_some_cancellations_leaves_the_task_as_it_was(swallowed: int) -> None:
    async def clings(io: Io) -> None:
        for _ in range(swallowed):
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(30)

    send = RecordingSend(shape="async")
    guard = Guard(Record(), Slow(clings), channel="sms")

    async def main() -> int:
        with pytest.raises(ControlError, match="overran"):
            await guard(send)(TO, "hello")
        task = asyncio.current_task()
        assert task is not None
        await asyncio.sleep(0)
        return task.cancelling()

    assert on_asyncio(main) == 0
    assert_never_sent(send)


def test_g10_an_overrun_in_a_task_that_was_cancelled_before_is_an_error_and_no_cancellation() -> None:
    """A clean-up that tells somebody: `except CancelledError: await send(...)`."""
    send = RecordingSend(shape="async")
    guard = Guard(Slow(sleeps_through_io), channel="sms")

    async def cleanup() -> str:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            with pytest.raises(ControlError, match="overran"):
                await guard(send)(TO, "sorry")
            return "told"
        return "?"

    async def main() -> str:
        task = asyncio.create_task(cleanup())
        await asyncio.sleep(0)
        task.cancel()
        return await task

    assert on_asyncio(main) == "told"
    assert_never_sent(send)


def test_a_cancellation_from_outside_while_a_control_waits_stays_a_cancellation() -> None:
    send = RecordingSend(shape="async")

    class Patient(Slow):
        deadline_seconds = 5.0

    guard = Guard(Record(), Patient(sleeps_through_io), channel="sms")

    async def main() -> bool:
        task = asyncio.create_task(guard(send)(TO, "hello"))
        await asyncio.sleep(0)
        task.cancel()
        await asyncio.wait([task])
        return task.cancelled()

    assert on_asyncio(main)
    assert_never_sent(send)


def test_a_timeout_around_the_send_is_the_callers_own_timeout_on_asyncio() -> None:
    send = RecordingSend(shape="async")

    class Patient(Slow):
        deadline_seconds = 5.0

    guard = Guard(Record(), Patient(sleeps_through_io), channel="sms")

    async def main() -> None:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(SHORT):
                await guard(send)(TO, "hello")

    on_asyncio(main)
    assert_never_sent(send)


def test_a_control_may_put_a_timeout_around_forward(run: Run) -> None:
    class Bounded:
        async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
            async with asyncio.timeout(SHORT):
                return await forward(call)

    record = Record()

    async def send(to: str, body: str) -> str:
        await asyncio.sleep(30)
        return "sent"

    async def main() -> None:
        with pytest.raises(ControlError, match="TimeoutError") as caught:
            await Guard(record, Bounded(), channel="sms")(send)(TO, "hello")
        assert caught.value.sent is None

    on_asyncio(main)
    assert record.results == ["cancelled"]


@pytest.mark.parametrize("way", ASYNC_WAYS, ids=str)
def test_what_is_inside_does_not_count_as_a_controls_own_time(way: Way) -> None:
    class Inside:
        async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
            await io.sleep(SHORT * 3)
            return await forward(call)

    class Quick(Look):
        deadline_seconds = SHORT * 2

    assert way.deliver(Guard(Quick(), Quick(), Inside(), channel="sms"), way.send()) == "sent"


def test_a_slow_send_is_no_overrun(run: Run) -> None:
    class Quick(Look):
        deadline_seconds = SHORT

    async def send(to: str, body: str) -> str:
        hold(SHORT * 2)
        return "sent"

    assert run(lambda: Guard(Quick(), channel="sms")(send)(TO, "x")) == "sent"

    def plain(to: str, body: str) -> str:
        hold(SHORT * 2)
        return "sent"

    assert Guard(Quick(), channel="sms")(plain)(TO, "x") == "sent"


@pytest.mark.parametrize("way", [way for way in WAYS if way.kind == "function"], ids=str)
@pytest.mark.parametrize("spend", [holds_the_thread, sleeps_through_io, swallows_the_end_of_its_sleep])
@pytest.mark.parametrize("after", [False, True])
def test_a_monitored_control_that_overruns_changes_nothing(way: Way, spend: Any, after: bool) -> None:  # noqa: FBT001
    record, send = Record(), way.send()
    assert way.deliver(Guard(record, monitor(Slow(spend, after=after)), channel="sms"), send) == "sent"
    assert send.calls == [(TO, "hello")]
    assert record.results == ["sent"]


@pytest.mark.parametrize("way", [way for way in ASYNC_WAYS if way.kind == "function"], ids=str)
def test_g10_a_blocking_check_that_hangs_denies_in_time(way: Way) -> None:
    @check(blocking=True, deadline_seconds=SHORT)
    def hangs(message: Message) -> None:
        time.sleep(0.2)

    send = way.send()
    with pytest.raises(ControlError, match=r"hangs.*overran"):
        way.deliver(Guard(hangs, channel="sms"), send)
    assert_never_sent(send)


@pytest.mark.parametrize("deadline", [0, -1, float("inf"), float("nan"), "5", None, True])
def test_a_deadline_that_makes_no_sense_is_a_config_error(deadline: Any) -> None:
    class Odd(Look):
        deadline_seconds = deadline

    with pytest.raises(GuardrailsError, match="deadline_seconds"):
        Guard(Odd(), channel="sms")
