# ruff: noqa: ARG002 - controls take what the contract gives them
"""G2 and G10 around `forward`: whatever controls do, in every shape, on every loop, a refused message is not sent."""

from __future__ import annotations

import asyncio
import contextlib
import pickle
import sys
import threading
import traceback
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest
import trio

from guardrails.core.call import Call, make_call
from guardrails.core.checks import check
from guardrails.core.control import Forward, Io
from guardrails.core.guard import Guard
from guardrails.core.message import Message
from guardrails.core.stream import Stream
from guardrails.core.verdict import Allow, Defer, Deny, Rewrite
from guardrails.errors import (
    Blocked,
    ControlError,
    Deferred,
    Denied,
    GuardrailsError,
    RateLimited,
    Unavailable,
)
from guardrails.testing import RecordingSend, assert_never_sent
from tests.conftest import Run, on_asyncio
from tests.core.doubles import Answer, Change, Hide, Look, Raise, Record
from tests.core.ways import ASYNC_WAYS, SYNC_WAYS, TO, WAYS, Way

RAW = "secret-12125550199"


class Outside:
    """Around a refusal: does with it what it wants."""

    def __init__(self, act: Callable[[Call, Forward], Any]) -> None:
        self.act = act

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
        return await self.act(call, forward)


async def swallows(call: Call, forward: Forward) -> object:
    with contextlib.suppress(BaseException):
        await forward(call)
    return "all is well"


async def retries(call: Call, forward: Forward) -> object:
    try:
        return await forward(call)
    except GuardrailsError:
        return await forward(call)


async def retries_with_another_text(call: Call, forward: Forward) -> object:
    try:
        return await forward(call)
    except GuardrailsError:
        return await forward(call.with_text("something harmless"))


async def retries_in_finally(call: Call, forward: Forward) -> object:
    try:
        return await forward(call)
    finally:
        with contextlib.suppress(ControlError):
            await forward(call)


async def retries_for_ever(call: Call, forward: Forward) -> object:
    for _ in range(100):
        with contextlib.suppress(Exception):
            return await forward(call)
    return "tried"


async def raises_another_thing(call: Call, forward: Forward) -> object:
    try:
        return await forward(call)
    except GuardrailsError:
        raise ValueError(RAW) from None


async def makes_two_and_closes_one(call: Call, forward: Forward) -> object:
    first, second = forward(call), forward(call)
    first.close()
    return await second


OUTSIDE = [
    swallows,
    retries,
    retries_with_another_text,
    retries_in_finally,
    retries_for_ever,
    raises_another_thing,
    makes_two_and_closes_one,
]


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("act", OUTSIDE)
def test_g2_a_refused_message_is_never_sent_whatever_an_outer_control_does_with_the_refusal(way: Way, act: Any) -> None:
    record, send = Record(), way.send()
    guard = Guard(record, Outside(act), Raise(Denied("no")), channel="sms")
    with contextlib.suppress(GuardrailsError):
        way.deliver(guard, send)
    assert_never_sent(send)
    assert record.intents == []


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize(
    "error",
    [
        Denied("no"),
        RateLimited("no"),
        Blocked("no"),
        Deferred("no"),
        Unavailable("no"),
        ControlError("no"),
        GuardrailsError("no"),
        ValueError(RAW),
        StopIteration(RAW),
        StopAsyncIteration(RAW),
        TimeoutError(RAW),
        ExceptionGroup("several", [ValueError(RAW)]),
    ],
    ids=repr,
)
def test_g2_g10_a_control_that_raises_denies_in_every_shape(way: Way, error: Exception) -> None:
    record, send = Record(), way.send()
    with pytest.raises(GuardrailsError) as caught:
        way.deliver(Guard(record, Look(), Raise(error), channel="sms"), send)
    assert_never_sent(send)
    assert caught.value.sent is False
    assert caught.value.control == "Raise"
    assert caught.value.where
    assert "doubles.py" in caught.value.where
    assert RAW not in "".join(traceback.format_exception(caught.value))
    assert record.intents == []
    assert [type(refusal) for refusal in record.refusals] == [type(caught.value)]


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(3), BaseException("odd")], ids=repr)
def test_g2_a_control_that_ends_the_program_sends_nothing(way: Way, error: BaseException) -> None:
    record, send = Record(), way.send()
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - any of them
        way.deliver(Guard(record, Look(), Raise(error), channel="sms"), send)
    assert_never_sent(send)
    assert record.intents == []
    found = caught.value.exceptions[0] if isinstance(caught.value, BaseExceptionGroup) else caught.value
    assert type(found) is type(error) or isinstance(found.__cause__, type(error))


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_g2_an_unclosed_door_refusal_is_final_though_a_control_replies_sent(way: Way) -> None:
    class Full:
        phase = "reserve"
        store = "table"

        async def commit(self, *_: Any) -> None:
            raise RateLimited("used up", retry_after=2.5)

        async def undo(self, io: Io) -> None: ...
        def settle(self, outcome: object) -> None: ...

    class Limit:
        async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
            call.at_door(Full())
            return await forward(call)

    send = way.send()
    with pytest.raises(RateLimited) as caught:
        way.deliver(Guard(Limit(), Outside(swallows), Outside(raises_another_thing), channel="sms"), send)
    assert caught.value.retry_after == 2.5
    assert caught.value.control == "Limit"
    assert_never_sent(send)


# -- forward: once, here, now -------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("swallow", [False, True])
def test_g2_forwarding_twice_sends_once_and_is_an_error(way: Way, swallow: bool) -> None:  # noqa: FBT001 - a parameter
    async def twice(call: Call, forward: Forward) -> object:
        reply = await forward(call)
        if swallow:
            with contextlib.suppress(ControlError):
                await forward(call)
            return reply
        return await forward(call)

    if way.shape in ("generator", "async generator"):
        pytest.skip("the send has not begun when forward returns: nothing is sent at all")
    record, send = Record(), way.send()
    with pytest.raises(ControlError, match="twice") as caught:
        way.deliver(Guard(record, Outside(twice), channel="sms"), send)
    assert len(send.calls) == 1
    assert caught.value.sent is True
    assert len(record.outcomes) == len(record.intents) == 1


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_g2_a_call_of_another_send_is_not_forwarded(way: Way) -> None:
    kept: list[Call] = []

    async def keeps(call: Call, forward: Forward) -> object:
        if not kept:
            kept.append(call)
            return await forward(call)
        return await forward(kept[0])

    guard = Guard(Outside(keeps), channel="sms")
    assert way.deliver(guard, way.send(), body="the first") == "sent"
    send = way.send()
    with pytest.raises(ControlError, match="something else than a Call of this send"):
        way.deliver(guard, send, body="the second")
    assert_never_sent(send)


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("forged", [None, "text", Message("x", channel="sms"), object()], ids=lambda v: type(v).__name__)
def test_g2_something_that_is_no_call_is_not_forwarded(way: Way, forged: Any) -> None:
    async def forges(call: Call, forward: Forward) -> object:
        return await forward(forged)

    send = way.send()
    with pytest.raises(ControlError, match="something else than a Call of this send"):
        way.deliver(Guard(Outside(forges), channel="sms"), send)
    assert_never_sent(send)


def test_g2_a_call_cannot_be_made_changed_copied_or_pickled() -> None:
    kept: list[Call] = []

    async def keeps(call: Call, forward: Forward) -> object:
        kept.append(call)
        return await forward(call)

    Guard(Outside(keeps), channel="sms")(RecordingSend())(TO, RAW)
    call = kept[0]
    with pytest.raises(TypeError):
        Call()
    with pytest.raises(AttributeError):
        call.message = Message("x", channel="sms")
    with pytest.raises(AttributeError):
        del call.message
    with pytest.raises(TypeError):
        pickle.dumps(call)
    assert RAW not in repr(call)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_g2_a_forged_call_around_another_journey_is_not_forwarded(way: Way) -> None:
    other: list[Call] = []

    async def keeps(call: Call, forward: Forward) -> object:
        other.append(call)
        return await forward(call)

    Guard(Outside(keeps), channel="sms")(RecordingSend())(TO, "one")

    async def forges(call: Call, forward: Forward) -> object:
        return await forward(make_call(call.message, call.layer, other[0]._journey))

    send = way.send()
    with pytest.raises(ControlError, match="something else"):
        way.deliver(Guard(Outside(forges), channel="sms"), send)
    assert_never_sent(send)


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("early", [False, True], ids=["forward_kept", "coroutine_kept"])
def test_g2_forwarding_after_the_guard_has_ended_sends_nothing(way: Way, early: bool) -> None:  # noqa: FBT001 - a parameter
    kept: list[Callable[[], Any]] = []

    async def leaves(call: Call, forward: Forward) -> object:
        if early:
            coroutine = forward(call)
            kept.append(lambda: coroutine)
        else:
            kept.append(lambda: forward(call))
        raise Denied("later")

    send = way.send()
    with pytest.raises(Denied):
        way.deliver(Guard(Record(), Outside(leaves), channel="sms"), send)

    async def late() -> None:
        with pytest.raises(ControlError, match="after"):
            await kept[0]()

    on_asyncio(late)
    assert_never_sent(send)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_g2_forwarding_from_a_thread_sends_nothing_and_is_an_error(way: Way) -> None:
    seen: list[BaseException] = []

    async def elsewhere(call: Call, forward: Forward) -> object:
        def work() -> None:
            try:
                forward(call).send(None)
            except BaseException as error:  # noqa: BLE001 - looked at below
                seen.append(error)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return "sent by a thread"

    send = way.send()
    with pytest.raises(ControlError, match="another task or thread") as caught:
        way.deliver(Guard(Record(), Outside(elsewhere), channel="sms"), send)
    assert_never_sent(send)
    assert [ControlError] == [type(error) for error in seen]
    assert caught.value.sent is False


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_g2_forwarding_from_a_thread_then_properly_is_still_an_error(way: Way) -> None:
    async def elsewhere(call: Call, forward: Forward) -> object:
        def work() -> None:
            with contextlib.suppress(BaseException):
                forward(call).send(None)

        thread = threading.Thread(target=work)
        thread.start()
        thread.join()
        return await forward(call)

    send = way.send()
    with pytest.raises(ControlError):
        way.deliver(Guard(Outside(elsewhere), channel="sms"), send)
    assert len(send.calls) <= 1


async def _with_create_task(forward: Any) -> Any:
    return await asyncio.create_task(forward)


async def _with_gather(forward: Any) -> Any:
    return (await asyncio.gather(forward))[0]


async def _with_gather_returning(forward: Any) -> Any:
    return (await asyncio.gather(forward, return_exceptions=True))[0]


async def _with_shield(forward: Any) -> Any:
    return await asyncio.shield(forward)


async def _with_wait_for(forward: Any) -> Any:
    return await asyncio.wait_for(forward, 5)


async def _with_a_group(forward: Any) -> Any:
    async with asyncio.TaskGroup() as group:
        task = group.create_task(forward)
    return task.result()


async def _with_another_loop(forward: Any) -> Any:
    return await asyncio.to_thread(lambda: on_asyncio(lambda: forward))


@pytest.mark.parametrize(
    "move",
    [
        _with_create_task,
        _with_gather,
        _with_gather_returning,
        _with_shield,
        *([_with_wait_for] if sys.version_info < (3, 12) else []),  # later ones make no task for it
        _with_a_group,
        _with_another_loop,
    ],
)
@pytest.mark.parametrize("way", [way for way in ASYNC_WAYS if way.loop == "asyncio" and way.kind == "function"], ids=str)
@pytest.mark.parametrize("swallow", [False, True])
def test_g2_forwarding_in_another_task_sends_nothing_and_is_an_error(way: Way, move: Any, swallow: bool) -> None:  # noqa: FBT001
    async def moved(call: Call, forward: Forward) -> object:
        try:
            return await move(forward(call))
        except BaseException:
            if swallow:
                return "sent"
            raise

    record, send = Record(), way.send()
    with pytest.raises(ControlError, match="another task or thread"):
        way.deliver(Guard(record, Outside(moved), channel="sms"), send)
    assert_never_sent(send)
    assert record.intents == []


@pytest.mark.parametrize("way", [way for way in ASYNC_WAYS if way.loop == "trio"], ids=str)
def test_g2_forwarding_in_a_nursery_sends_nothing_and_is_an_error(way: Way) -> None:
    async def moved(call: Call, forward: Forward) -> object:
        with contextlib.suppress(BaseException):
            async with trio.open_nursery() as nursery:
                nursery.start_soon(forward, call)
        return "sent"

    send = way.send()
    with pytest.raises(ControlError, match="another task or thread"):
        way.deliver(Guard(Outside(moved), channel="sms"), send)
    assert_never_sent(send)


def test_g2_a_task_left_behind_that_forwards_during_the_send_does_not_send_again() -> None:
    tasks: list[asyncio.Task[Any]] = []
    calls: list[str] = []

    async def leaves(call: Call, forward: Forward) -> object:
        tasks.append(asyncio.create_task(forward(call)))
        return await forward(call)

    async def send(to: str, body: str) -> str:
        calls.append(body)
        for _ in range(5):
            await asyncio.sleep(0)
        return "sent"

    async def main() -> None:
        with pytest.raises(ControlError):
            await Guard(Outside(leaves), channel="sms")(send)(TO, "hello")
        with pytest.raises(ControlError):
            await tasks[0]

    on_asyncio(main)
    assert calls == ["hello"]


@pytest.mark.parametrize("way", SYNC_WAYS, ids=str)
@pytest.mark.parametrize("when", ["plain", "finally", "swallowed"])
def test_g2_a_control_that_awaits_a_loop_in_a_sync_send_sends_nothing(way: Way, when: str) -> None:
    class Pause:
        def __await__(self) -> Any:
            yield

    async def pauses(call: Call, forward: Forward) -> object:
        try:
            await Pause()
        except BaseException:
            if when == "plain":
                raise
        finally:
            if when == "finally":
                with contextlib.suppress(ControlError):
                    await forward(call)
        return await forward(call)

    record, send = Record(), way.send()
    with pytest.raises(ControlError, match=r"Outside.*event loop"):
        way.deliver(Guard(record, Outside(pauses), channel="sms"), send)
    assert_never_sent(send)
    assert record.intents == []


def test_g2_a_coroutine_that_is_closed_half_way_forwards_nothing_from_its_cleanup() -> None:
    class Pause:
        def __await__(self) -> Any:
            yield

    async def clings(call: Call, forward: Forward) -> object:
        try:
            await Pause()
        finally:
            await forward(call)
        return None

    send = RecordingSend(shape="async")
    coroutine = Guard(Outside(clings), channel="sms")(send)(TO, "hello")
    coroutine.send(None)
    with contextlib.suppress(GuardrailsError, RuntimeError):
        coroutine.close()
    assert_never_sent(send)


def test_g2_a_guarded_coroutine_that_is_never_awaited_sends_and_records_nothing() -> None:
    record, send = Record(), RecordingSend(shape="async")
    Guard(record, channel="sms")(send)(TO, "hello").close()
    assert_never_sent(send)
    assert not record.intents
    assert not record.refusals


@pytest.mark.parametrize("shape", ["generator", "async generator"])
def test_g2_g1_a_generator_that_is_never_started_has_no_intent(shape: Any) -> None:
    record, send = Record(), RecordingSend(shape=shape)
    stream = Guard(record, channel="sms")(send)(TO, "hello")
    del stream
    assert_never_sent(send)
    assert record.intents == []


# -- garbage ------------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_g10_a_control_that_neither_forwards_nor_replies_denies(way: Way) -> None:
    send = way.send()
    with pytest.raises(ControlError, match="neither forwarded nor replied") as caught:
        way.deliver(Guard(Answer(None), channel="sms"), send)
    assert_never_sent(send)
    assert caught.value.sent is False


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_g10_a_forgotten_await_of_forward_denies(way: Way) -> None:
    async def forgets(call: Call, forward: Forward) -> object:
        return forward(call)

    send = way.send()
    with pytest.raises(ControlError, match="await"):
        way.deliver(Guard(Outside(forgets), channel="sms"), send)
    assert_never_sent(send)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_g10_a_stream_of_a_controls_own_denies(way: Way) -> None:
    send = way.send()
    with pytest.raises(ControlError, match="Stream") as caught:
        way.deliver(Guard(Answer(Stream(iter(["a"]))), channel="sms"), send)
    assert_never_sent(send)
    assert caught.value.sent is False


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_g10_another_stream_than_the_replys_denies(way: Way) -> None:
    async def swaps(call: Call, forward: Forward) -> object:
        await forward(call)
        return Stream(iter(["a"]))

    record, send = Record(), way.send()
    with pytest.raises(ControlError, match="Stream"):
        way.deliver(Guard(record, Outside(swaps), channel="sms"), send)
    assert len(record.outcomes) == len(record.intents) == 1


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_control_may_reply_instead_of_the_send(way: Way) -> None:
    record, send = Record(), way.send()
    assert way.deliver(Guard(record, Answer("cached"), channel="sms"), send) == "cached"
    assert_never_sent(send)
    assert record.intents == []


@pytest.mark.parametrize("way", [way for way in WAYS if way.shape in ("generator", "async generator")], ids=str)
def test_g10_a_reply_that_cannot_be_streamed_is_an_error_of_a_named_control(way: Way) -> None:
    send = way.send()
    with pytest.raises(ControlError, match="int") as caught:
        way.deliver(Guard(Record(), Answer(7), channel="sms"), send)
    assert_never_sent(send)
    assert caught.value.sent is False


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("answer", [7, b"x", object(), [], Deny, True])
def test_g10_a_check_that_returns_garbage_denies(way: Way, answer: Any) -> None:
    @check
    def odd(message: Message) -> Any:
        return answer

    send = way.send()
    with pytest.raises(ControlError, match="odd") as caught:
        way.deliver(Guard(odd, channel="sms"), send)
    assert_never_sent(send)
    assert caught.value.control == "odd"


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize(
    ("verdict", "kind"),
    [
        (Deny("no"), Denied),
        (Deny(7), Denied),  # type: ignore[arg-type]  # what a hurried team writes
        (Defer(60), Deferred),
        (Defer(-1), ControlError),
        (Defer(float("nan")), ControlError),
        (Defer(float("inf")), ControlError),
        (Defer("1"), ControlError),  # type: ignore[arg-type]  # what a hurried team writes
        (Rewrite(7), ControlError),  # type: ignore[arg-type]  # what a hurried team writes
        (Rewrite({"nothing": "x"}), ControlError),
        (Rewrite({"body": 7}), ControlError),  # type: ignore[dict-item]  # what a hurried team writes
    ],
)
def test_g10_a_verdict_that_refuses_or_makes_no_sense_denies(way: Way, verdict: Any, kind: type[GuardrailsError]) -> None:
    @check
    def says(message: Message) -> Any:
        return verdict

    send = way.send()
    with pytest.raises(kind) as caught:
        way.deliver(Guard(says, channel="sms"), send)
    assert type(caught.value) is kind
    assert_never_sent(send)


@pytest.mark.parametrize("way", WAYS, ids=str)
@pytest.mark.parametrize("verdict", [None, Allow(), "other", Rewrite("other")], ids=repr)
def test_a_verdict_that_allows_or_rewrites_sends_once(way: Way, verdict: Any) -> None:
    @check
    def says(message: Message) -> Any:
        return verdict

    send = way.send()
    assert way.deliver(Guard(says, channel="sms"), send) == "sent"
    assert send.calls == [(TO, "hello" if verdict in (None, Allow()) else "other")]


@pytest.mark.parametrize("way", ASYNC_WAYS, ids=str)
def test_an_async_check_decides_about_async_sends(way: Way) -> None:
    @check
    async def refuses(message: Message) -> Deny:
        return Deny("no")

    send = way.send()
    with pytest.raises(Denied):
        way.deliver(Guard(refuses, channel="sms"), send)
    assert_never_sent(send)


@pytest.mark.parametrize("way", ASYNC_WAYS, ids=str)
def test_a_blocking_check_runs_in_another_thread_on_async_sends(way: Way) -> None:
    threads: list[int] = []

    @check(blocking=True)
    def looks(message: Message) -> None:
        threads.append(threading.get_ident())

    send = way.send()
    assert way.deliver(Guard(looks, channel="sms"), send) == "sent"
    assert threads != [threading.get_ident()]
    assert len(send.calls) == 1


@pytest.mark.parametrize("name", ["conversation", "tenant", "actor", "sender"])
@pytest.mark.parametrize("way", [way for way in WAYS if way.kind == "function"], ids=str)
def test_g2_a_call_that_lacks_a_needed_role_is_never_sent(way: Way, name: str) -> None:
    class Needs:
        needs = (name,)

        async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
            return await forward(call)

    record, send = Record(), way.send()
    with pytest.raises(Denied, match=name) as caught:
        way.deliver(Guard(record, Needs(), channel="sms"), send)
    assert_never_sent(send)
    assert record.intents == []
    assert caught.value.sent is False
    assert len(record.refusals) == 1


@pytest.mark.parametrize("way", [way for way in WAYS if way.kind == "function"], ids=str)
def test_g2_a_call_that_cannot_be_read_is_never_sent(way: Way) -> None:
    record, send = Record(), way.send()
    with pytest.raises(GuardrailsError) as caught:
        way.deliver(Guard(record, channel="sms"), send, to=7)  # type: ignore[arg-type]  # not a recipient
    assert_never_sent(send)
    assert record.intents == []
    assert caught.value.sent is False
    assert len(record.refusals) == 1


# -- errors carry what happened, and no text -------------------------------------------------------------------------------


@pytest.mark.parametrize("way", [way for way in WAYS if way.kind == "function"], ids=str)
def test_g10_an_error_before_the_send_says_not_sent_and_one_after_it_says_sent(way: Way) -> None:
    send = way.send()
    with pytest.raises(ControlError) as caught:
        way.deliver(Guard(Raise(ValueError(RAW)), channel="sms"), send)
    assert caught.value.sent is False
    assert "nothing was sent" in str(caught.value)

    send = way.send()
    with pytest.raises(ControlError) as caught:
        way.deliver(Guard(Raise(ValueError(RAW), after=True), channel="sms"), send)
    if way.shape in ("generator", "async generator"):
        assert_never_sent(send)
        assert caught.value.sent is False
    else:
        assert len(send.calls) == 1
        assert caught.value.sent is True
        assert "withheld" in str(caught.value)


@pytest.mark.parametrize("way", [way for way in WAYS if way.kind == "function"], ids=str)
def test_g2_a_refusal_of_an_inner_guard_passes_out_as_unknown(way: Way) -> None:
    inner = way.guarded(Guard(Raise(Denied("inner")), channel="sms"), way.send())
    outer = Guard(Record(), channel="sms")
    with pytest.raises(Denied) as caught:
        way.drive(lambda: outer(inner))
    assert caught.value.sent is None


class Careful(Denied):
    """A refusal of a team's own."""

    def __init__(self, reason: str, *, score: float, words: list[str], at: datetime, thing: object) -> None:
        super().__init__(reason)
        self.score = score
        self.words = words
        self.at = at
        self.thing = thing


@pytest.mark.parametrize("way", [way for way in WAYS if way.kind == "function"], ids=str)
def test_g3_a_refusal_is_rebuilt_same_class_and_fields_without_text(way: Way) -> None:
    at = datetime(2024, 1, 1, tzinfo=UTC)

    async def refuses(call: Call, forward: Forward) -> object:
        local = call.message.text
        try:
            raise ValueError(local)  # noqa: TRY301 - a cause
        except ValueError as cause:
            error = Careful(f"{RAW} said {RAW} " + "x" * 200, score=0.5, words=[RAW, "fine"], at=at, thing=call)
            error.add_note(RAW)
            raise error from cause

    send = way.send()
    with pytest.raises(Careful) as caught:
        way.deliver(Guard(Outside(refuses), Hide(), channel="sms"), send, body=RAW)
    error = caught.value
    assert error.score == 0.5
    assert error.at == at
    assert error.words == ["<SECRET>", "fine"]
    assert len(error.reason) <= 80
    assert error.__cause__ is None
    assert error.__context__ is None
    assert error.control == "Outside"
    assert not hasattr(error, "__notes__")
    shown = "".join(traceback.TracebackException.from_exception(error, capture_locals=True).format())
    assert RAW not in shown.split("way.deliver", 1)[0] + str(error) + repr(error)
    trace = error.__traceback__
    while trace is not None:
        if "/src/guardrails/" in trace.tb_frame.f_code.co_filename:
            assert RAW not in repr(trace.tb_frame.f_locals)
        trace = trace.tb_next
    twin = pickle.loads(pickle.dumps(error))  # noqa: S301 - our own bytes
    assert type(twin) is Careful
    assert (twin.reason, twin.score, twin.words, twin.control, twin.sent) == (
        error.reason,
        0.5,
        ["<SECRET>", "fine"],
        "Outside",
        False,
    )
    assert_never_sent(send)


def test_g3_without_a_mask_a_reason_is_cut_to_one_line_of_eighty_characters() -> None:
    with pytest.raises(Denied) as caught:
        Guard(Raise(Denied("word \n" * 100)), channel="sms")(RecordingSend())(TO, "hello")
    assert len(caught.value.reason) == 80
    assert "\n" not in caught.value.reason


def test_g3_an_error_of_a_controls_own_is_not_chained_to_anything() -> None:
    with pytest.raises(ControlError) as caught:
        Guard(Raise(ValueError(RAW)), channel="sms")(RecordingSend())(TO, RAW)
    assert caught.value.__cause__ is None
    assert caught.value.__context__ is None
    assert RAW not in str(caught.value)


def test_a_denied_that_the_send_raises_is_the_same_object() -> None:
    error = Denied("from the provider")
    with pytest.raises(Denied) as caught:
        Guard(Record(), channel="sms")(RecordingSend(raises=error))(TO, "hello")
    assert caught.value is error
    assert caught.value.sent is None


@pytest.mark.parametrize(
    "error", [ValueError("x"), KeyError("x"), StopIteration("x"), KeyboardInterrupt(), ExceptionGroup("g", [OSError()])]
)
def test_the_sends_own_exception_reaches_the_caller_as_the_same_object(error: BaseException) -> None:
    record = Record()
    with pytest.raises(type(error)) as caught:
        Guard(record, Look(), Hide(), channel="sms")(RecordingSend(raises=error))(TO, "hello")
    assert caught.value is error
    assert record.outcomes[0].error_type == type(error).__name__
    assert len(record.outcomes) == 1


@pytest.mark.parametrize("way", [way for way in ASYNC_WAYS if way.kind == "function" and way.shape == "async"], ids=str)
def test_the_exception_of_an_async_send_reaches_the_caller_as_the_same_object(way: Way) -> None:
    error = ValueError("x")
    with pytest.raises(ValueError, match="x") as caught:
        way.deliver(Guard(Record(), Look(), channel="sms"), way.send(raises=error))
    assert caught.value is error


@pytest.mark.parametrize("way", [way for way in WAYS if way.kind == "function"], ids=str)
def test_what_comes_from_further_inside_passes_through_controls_untouched(way: Way) -> None:
    record, send = Record(), way.send()
    with pytest.raises(Denied) as caught:
        way.deliver(Guard(record, Look(), Change(str.upper), Raise(Denied("no")), channel="sms"), send)
    assert caught.value.control == "Raise"


def test_controls_run_in_order_and_unwind_in_reverse(run: Run) -> None:
    order: list[str] = []

    class Named:
        def __init__(self, name: str) -> None:
            self.name = name

        async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
            order.append(f"{self.name} in")
            try:
                return await forward(call)
            finally:
                order.append(f"{self.name} out")

    async def send(to: str, body: str) -> str:
        order.append("send")
        return "sent"

    guard = Guard(Named("a"), Named("b"), channel="sms").extend(Named("c"))
    assert run(lambda: guard(send)(TO, "x")) == "sent"
    assert order == ["a in", "b in", "c in", "send", "c out", "b out", "a out"]
