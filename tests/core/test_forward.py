# ruff: noqa: ARG002 - controls take what the contract gives them
"""Odd but possible uses of `forward`, and odd refusals: nothing raw gets out, and the outcome says what is known."""

from __future__ import annotations

import asyncio
import contextlib
import gc
from typing import Any, Self

import pytest
import trio

from guardrails.core.call import Call
from guardrails.core.control import Forward, Io
from guardrails.core.guard import Guard
from guardrails.errors import ControlError, Denied, GuardrailsError, RateLimited
from guardrails.testing import RecordingSend, assert_never_sent
from tests.conftest import LOOPS, on_asyncio, on_trio
from tests.core.doubles import Hide, Look, Record
from tests.core.ways import ASYNC_WAYS, SYNC_WAYS, TO, WAYS, Way

FUNCTIONS = [way for way in WAYS if way.kind == "function"]
RAW = "secret-words"


class Acts:
    """Does what its function does."""

    def __init__(self, act: Any) -> None:
        self.act = act

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
        return await self.act(call, forward)


class NeedsMore(Denied):
    """Cannot be made without arguments, nor from nothing."""

    def __new__(cls, *args: Any) -> Self:
        if not args:
            raise TypeError("NeedsMore needs more")
        return super().__new__(cls, *args)


class ReadOnly(Denied):
    """Its reason cannot be set."""

    @property
    def reason(self) -> str:
        return RAW

    @reason.setter
    def reason(self, value: str) -> None:
        pass


class Slotted(Denied):
    """Keeps text where `vars` does not look."""

    __slots__ = ("kept",)

    def __init__(self, kept: str) -> None:
        super().__init__("no")
        self.kept = kept


class Shows(Denied):
    """Prints more than its reason."""

    def __init__(self, text: str) -> None:
        super().__init__("no")
        self.text = text

    def __str__(self) -> str:
        return f"refused: {self.text}"


class Deep(Denied):
    """Holds text deep inside."""

    def __init__(self) -> None:
        super().__init__("no")
        self.inside = {"a": [{"b": (RAW, {RAW: RAW})}], "set": {RAW}, "bytes": RAW.encode(), "error": ValueError(RAW)}


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
@pytest.mark.parametrize(
    "make",
    [
        lambda: Denied(7),  # type: ignore[arg-type]  # what a hurried team writes
        lambda: Denied(None),  # type: ignore[arg-type]  # what a hurried team writes
        lambda: Denied(RAW.encode()),  # type: ignore[arg-type]  # what a hurried team writes
        lambda: Denied(ValueError(RAW)),  # type: ignore[arg-type]  # what a hurried team writes
        lambda: Denied(RAW * 10_000),
        lambda: NeedsMore("no"),
        lambda: ReadOnly("no"),
        lambda: Slotted(RAW),
        lambda: Shows(RAW),
        Deep,
        lambda: RateLimited("no", limit=RAW, scope=RAW, retry_after=1.0),
    ],
    ids=["int", "None", "bytes", "error", "long", "new", "read_only", "slots", "str", "deep", "fields"],
)
def test_g2_g3_an_odd_refusal_is_a_refusal_and_shows_nothing(way: Way, make: Any) -> None:
    async def refuses(call: Call, forward: Forward) -> object:
        raise make()

    record, send = Record(), way.send()
    with pytest.raises(GuardrailsError) as caught:
        way.deliver(Guard(record, Acts(refuses), Hide(), channel="sms"), send)
    assert_never_sent(send)
    error = caught.value
    assert error.sent is False
    assert error.control == "Acts"
    if not isinstance(error, ReadOnly):
        assert RAW not in str(error) + repr(error) + repr(error.args) + repr(vars(error))
    assert len(record.refusals) == 1


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
def test_g3_fields_that_a_refusal_hides_in_slots_do_not_travel(way: Way) -> None:
    async def refuses(call: Call, forward: Forward) -> object:
        raise Slotted(RAW)

    with pytest.raises(Denied) as caught:
        way.deliver(Guard(Acts(refuses), Hide(), channel="sms"), way.send())
    assert getattr(caught.value, "kept", None) != RAW


def test_g1_a_send_that_a_control_leaves_half_way_is_not_said_to_be_sent() -> None:
    """The control steps `forward` by hand, drops it in the middle of the send, and replies "sent"."""
    entered: list[str] = []

    async def drops(call: Call, forward: Forward) -> object:
        inside = forward(call)
        inside.send(None)
        inside.close()
        return "sent"

    async def send(to: str, body: str) -> str:
        entered.append(body)
        await asyncio.sleep(0)
        return "really sent"

    record = Record()

    async def main() -> None:
        with contextlib.suppress(GuardrailsError):
            await Guard(record, Acts(drops), channel="sms")(send)(TO, "hello")

    on_asyncio(main)
    assert entered == ["hello"]
    assert len(record.intents) == len(record.outcomes) == 1
    assert record.results[0] in ("cancelled", "unknown")


def test_g1_a_send_that_a_control_forgets_half_way_is_not_said_to_be_sent() -> None:
    kept: list[Any] = []

    async def forgets(call: Call, forward: Forward) -> object:
        inside = forward(call)
        inside.send(None)
        kept.append(inside)
        return "sent"

    async def send(to: str, body: str) -> str:
        await asyncio.sleep(0)
        return "really sent"

    record = Record()

    async def main() -> None:
        with contextlib.suppress(GuardrailsError):
            await Guard(record, Acts(forgets), channel="sms")(send)(TO, "hello")
        kept[0].close()

    on_asyncio(main)
    gc.collect()
    assert len(record.intents) == len(record.outcomes) == 1
    assert record.results[0] in ("cancelled", "unknown")


@pytest.mark.parametrize("way", SYNC_WAYS, ids=str)
def test_a_control_may_step_forward_by_hand_in_a_sync_send(way: Way) -> None:
    async def steps(call: Call, forward: Forward) -> object:
        inside = forward(call)
        try:
            inside.send(None)
        except StopIteration as stop:
            return stop.value
        raise AssertionError("it paused")

    record, send = Record(), way.send()
    assert way.deliver(Guard(record, Acts(steps), channel="sms"), send) == "sent"
    assert record.results == ["sent"]


def test_a_control_may_give_up_on_forward_on_trio() -> None:
    record = Record()

    async def bounded(call: Call, forward: Forward) -> object:
        with trio.move_on_after(0.01):
            return await forward(call)
        return "gave up"

    async def send(to: str, body: str) -> str:
        await trio.sleep(30)
        return "sent"

    async def main() -> object:
        return await Guard(record, Acts(bounded), channel="sms")(send)(TO, "hello")

    assert on_trio(main) == "gave up"
    assert record.results == ["cancelled"]


@pytest.mark.parametrize("way", [way for way in ASYNC_WAYS if way.kind == "function"], ids=str)
def test_tasks_that_send_at_once_do_not_disturb_each_other(way: Way) -> None:
    class Switches:
        async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
            await io.sleep(0)
            reply = await forward(call)
            await io.sleep(0)
            return reply

    if way.shape != "async":
        pytest.skip("one shape is enough")
    record, send = Record(), way.send()
    safe = way.guarded(Guard(record, Switches(), Look(), channel="sms"), send)
    bodies = [f"number {number}" for number in range(30)]

    async def main() -> None:
        if way.loop == "asyncio":
            await asyncio.gather(*(safe(TO, body) for body in bodies))
        else:
            async with trio.open_nursery() as nursery:
                for body in bodies:
                    nursery.start_soon(safe, TO, body)

    LOOPS[way.loop or ""](main)
    assert sorted(sent.body for sent in send.calls) == sorted(bodies)
    assert sorted(record.intents) == sorted(bodies)
    assert record.results == ["sent"] * 30


def test_g2_steps_registered_through_a_kept_call_never_count() -> None:
    kept: list[Call] = []

    async def keeps(call: Call, forward: Forward) -> object:
        kept.append(call)
        return await forward(call)

    Guard(Acts(keeps), channel="sms")(RecordingSend())(TO, "x")
    with pytest.raises(ControlError, match="already reached the door"):
        kept[0].at_door(Any)  # type: ignore[arg-type]  # it never gets to look at it
