# ruff: noqa: ARG002 - controls, steps and stand-ins take what the contract gives them
"""The rare turns of a call: each is a branch of the core that a plain send never takes."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator, Sequence
from typing import Any

import pytest

from guardrails import Caps, Guard
from guardrails.core.call import Call
from guardrails.core.checks import monitor
from guardrails.core.control import Forward, Io, Outcome, Sealed
from guardrails.core.guarded import GuardedStream
from guardrails.core.message import Message
from guardrails.core.verdict import Finding
from guardrails.errors import ControlError, Denied, GuardrailsError
from guardrails.testing import RecordingSend, assert_never_sent
from tests.conftest import on_asyncio
from tests.core.doubles import SECRET, Answer, Filter, Hide, Look, Record, Words
from tests.core.ways import TO

# -- door ----------------------------------------------------------------------------------------------------------------


class Waits:
    """A step that awaits an event loop, which a sync send has not."""

    phase = "reserve"
    store = "waits"

    def __init__(self, undo: Any) -> None:
        self.undone = 0
        self._undo = undo

    async def commit(self, sealed: Sealed, peers: Sequence[Any], io: Io, /) -> None:
        await asyncio.sleep(0)

    async def undo(self, io: Io, /) -> None:
        self.undone += 1
        await self._undo(io)

    def settle(self, outcome: Outcome, /) -> None: ...


class AtDoor:
    """Brings one step to the door."""

    def __init__(self, step: Any) -> None:
        self.step = step

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
        call.at_door(self.step)
        return await forward(call)


async def _gives_back(io: Io) -> None:
    await io.sleep(0.001)


async def _cannot(io: Io) -> None:
    raise ValueError("undo")


@pytest.mark.parametrize("undo", [_gives_back, _cannot])
def test_g6_a_step_that_is_stopped_half_way_is_undone_all_the_same(undo: Any, caplog: pytest.LogCaptureFixture) -> None:
    steps = [Waits(undo), Waits(undo)]
    send = RecordingSend()
    with pytest.raises(ControlError, match="awaited an event loop"):
        Guard(*map(AtDoor, steps))(send)(TO, "hello")
    assert_never_sent(send)
    assert sum(step.undone for step in steps) >= 1
    assert ("undo of Waits failed with ValueError" in caplog.text) is (undo is _cannot)


class Overslept:
    """Notices its deadline only when somebody else cancels the task as well."""

    phase = "reserve"
    store = "overslept"
    deadline_seconds = 0.01
    name = "overslept"

    async def commit(self, sealed: Sealed, peers: Sequence[Any], io: Io, /) -> None:
        await self._sleep()

    async def _sleep(self) -> None:
        try:
            await asyncio.sleep(30)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            assert task is not None
            task.cancel()  # as a caller would, at the same moment
            raise

    async def undo(self, io: Io, /) -> None: ...

    def settle(self, outcome: Outcome, /) -> None: ...

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
        await self._sleep()
        return await forward(call)


@pytest.mark.parametrize("where", ["control", "step"])
def test_g1_a_cancellation_that_meets_a_deadline_stays_a_cancellation(where: str) -> None:
    send = RecordingSend(shape="async")
    guarded = Guard(Overslept() if where == "control" else AtDoor(Overslept()))(send)
    with pytest.raises(asyncio.CancelledError):
        on_asyncio(lambda: guarded(TO, "hello"))
    assert_never_sent(send)


class Stays:
    """Catches everything that would end it."""

    deadline_seconds = 0.01

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
        while True:
            try:
                await asyncio.sleep(30)
            except BaseException:  # noqa: BLE001, S112 - the fault that the test is about
                continue


@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_g10_a_control_that_survives_cancel_and_close_is_left_behind() -> None:
    send = RecordingSend(shape="async")
    guarded = Guard(Stays())(send)

    async def main() -> None:
        with pytest.raises(ControlError, match="would not stop at its deadline"):
            await guarded(TO, "hello")

    on_asyncio(main)
    assert_never_sent(send)


def test_g10_a_send_stepped_by_hand_from_a_callback_has_no_timer_and_still_works() -> None:
    send = RecordingSend(shape="async")

    class Pauses:
        async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
            await asyncio.sleep(0)
            await asyncio.sleep(0)
            return await forward(call)

    guarded = Guard(Pauses())(send)

    async def main() -> object:
        call = guarded(TO, "hello")
        call.send(None)  # begun in this task, and carried on where no task is
        done: asyncio.Future[object] = asyncio.get_running_loop().create_future()

        def carry_on() -> None:
            try:
                while True:
                    call.send(None)
            except StopIteration as stop:
                done.set_result(stop.value)
            except BaseException as error:  # noqa: BLE001 - for whoever awaits it
                done.set_exception(error)

        asyncio.get_running_loop().call_soon(carry_on)
        return await done

    with pytest.raises(ControlError, match="another task"):
        on_asyncio(main)
    assert_never_sent(send)


# -- replies -------------------------------------------------------------------------------------------------------------


class Unreadable(Hide):
    """A mask control that fails on some texts."""

    def mask(self, text: str, /) -> tuple[str, Sequence[Finding]]:
        if "unreadable" in text:
            raise ValueError(text)
        return super().mask(text)


def test_g3_a_reply_that_cannot_be_masked_is_withheld() -> None:
    send = RecordingSend(reply="unreadable secret1")
    with pytest.raises(ControlError) as caught:
        Guard(Look(), Unreadable())(reply="mask")(send)(TO, "hello")
    assert caught.value.sent is True
    assert "secret1" not in str(caught.value)
    assert caught.value.__context__ is None


class Later:
    """Something to await, with nothing to close."""

    def __await__(self) -> Iterator[Any]:
        yield


def test_a_plain_function_that_returns_any_awaitable_is_told_to_say_so() -> None:
    def send(to: str, body: str) -> Any:
        return Later()

    with pytest.raises(ControlError, match='shape="async"'):
        Guard(Look())(send)(TO, "hello")


def test_g3_the_id_of_which_a_detector_fails_is_digested() -> None:
    seen: list[Any] = []

    class Asks:
        async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
            seen.extend(call.is_opaque(identifier) for identifier in ("order-1", "unreadable-1", "order-1"))
            return await forward(call)

    Guard(Unreadable(), Asks())(RecordingSend())(TO, "hello")
    assert seen == [True, False, True]


# -- streams -------------------------------------------------------------------------------------------------------------


class Chunks:
    """An iterator with nothing to close, or whose close fails."""

    def __init__(self, *chunks: object) -> None:
        self._chunks = iter(chunks)

    def __iter__(self) -> Iterator[object]:
        return self

    def __next__(self) -> object:
        chunk = next(self._chunks)
        if isinstance(chunk, Exception):
            raise chunk
        return chunk


class BadClose(Chunks):
    def close(self) -> None:
        raise ValueError("close")


class AsyncChunks(Chunks):
    """The same, awaited; its close is a plain method."""

    closed = 0

    def __aiter__(self) -> AsyncIterator[object]:
        return self

    async def __anext__(self) -> object:
        try:
            return next(self._chunks)
        except StopIteration:
            raise StopAsyncIteration from None

    def close(self) -> None:
        self.closed += 1


class BadAsyncClose(AsyncChunks):
    async def aclose(self) -> None:
        raise ValueError("close")


class Crashes(Words):
    def feed(self, chunk: str, /) -> str:
        raise ValueError(chunk)


def streams(source: object) -> Any:
    def send(to: str, body: str) -> Any:
        return source

    return send


def astreams(source: object) -> Any:
    async def send(to: str, body: str) -> Any:
        return source

    return send


def test_a_stream_without_close_can_be_closed_and_dropped() -> None:
    record = Record()
    stream = Guard(record)(streams(Chunks("a", "b")))(TO, "hello")
    assert next(stream) == "a"
    stream.close()
    assert record.results == ["cut"]
    assert list(stream) == []


def test_throw_into_a_stream_that_has_ended_raises_and_changes_nothing() -> None:
    record = Record()
    stream = Guard(record)(streams(Chunks("a")))(TO, "hello")
    assert list(stream) == ["a"]
    with pytest.raises(KeyError):
        stream.throw(KeyError("late"))
    assert record.results == ["sent"]


def test_g10_a_filter_that_fails_wins_over_a_source_whose_close_fails(caplog: pytest.LogCaptureFixture) -> None:
    stream = Guard(Filter(Crashes))(streams(BadClose("a", "b")))(TO, "hello")
    with pytest.raises(ControlError) as caught:
        list(stream)
    assert caught.value.sent is True
    assert "closing a failed stream raised ValueError" in caplog.text


def test_g10_the_same_awaited(caplog: pytest.LogCaptureFixture) -> None:
    async def main() -> None:
        stream = await Guard(Filter(Crashes))(astreams(BadAsyncClose("a", "b")))(TO, "hello")
        with pytest.raises(ControlError):
            await anext(stream)

    on_asyncio(main)
    assert "closing a failed stream raised ValueError" in caplog.text


def test_an_async_stream_whose_close_is_a_plain_method_is_closed() -> None:
    source = AsyncChunks("a", "b")

    async def main() -> None:
        async with await Guard(Look())(astreams(source))(TO, "hello") as stream:
            assert await anext(stream) == "a"

    on_asyncio(main)
    assert source.closed == 1


class Drops:
    """Replies with something else than the stream that it got."""

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
        await forward(call)
        return "dropped"


def test_a_stream_that_a_control_drops_is_closed_sync_and_async() -> None:
    def generate() -> Iterator[str]:
        try:
            yield "a"
        finally:
            ended.append("sync")

    ended: list[str] = []
    source = AsyncChunks("a")
    assert Guard(Drops())(streams(generate()))(TO, "hello") == "dropped"
    assert on_asyncio(lambda: Guard(Drops())(astreams(source))(TO, "hello")) == "dropped"
    assert source.closed == 1


def test_a_stream_object_that_was_never_made_can_be_collected() -> None:
    stream = GuardedStream.__new__(GuardedStream)
    stream.__del__()


def pieces(*texts: str) -> Iterator[str]:
    yield from texts


def consumes(to: str, body: Iterator[str]) -> str:
    return "".join(body)


def relays(to: str, body: Iterator[str]) -> Iterator[str]:
    yield from body


def test_a_monitored_mask_lets_the_pieces_of_a_cut_text_through() -> None:
    guarded = Guard(monitor(Hide()))(stream="cut")(consumes)
    assert guarded(TO, pieces("my sec", "ret1 ")) == "my secret1 "


def test_g11_more_text_than_the_cap_ends_a_cut_text() -> None:
    guarded = Guard(Hide(), caps=Caps(text_characters=20))(stream="cut")(consumes)
    with pytest.raises(Denied, match="more than 20 characters"):
        guarded(TO, pieces(*["0123456789 "] * 3))


def test_g3_a_cut_text_that_fails_inside_a_stream_is_the_refusal() -> None:
    class Fails(Hide):
        def filter(self) -> Words:
            return Crashes()

    stream = Guard(Fails())(stream="cut")(relays)(TO, pieces("my secret1 ", "and more"))
    with pytest.raises(ControlError) as caught:
        list(stream)
    assert "secret1" not in str(caught.value)


def test_an_async_cut_text_that_leaves_nothing_held_ends_quietly() -> None:
    async def texts() -> AsyncIterator[str]:
        yield "my secret1 "

    async def send(to: str, body: AsyncIterator[str]) -> str:
        return "".join([piece async for piece in body])

    assert on_asyncio(lambda: Guard(Hide())(stream="cut")(send)(TO, texts())) == f"my {SECRET} "


# -- binding -------------------------------------------------------------------------------------------------------------


class Reads:
    """A Binder that refuses in words of its own."""

    def __init__(self, error: GuardrailsError | None = None) -> None:
        self.error = error

    def read(self, args: Any, kwargs: Any) -> Message:
        if self.error is not None:
            raise self.error
        return Message(args[1], channel="sms", recipients=args[0])

    def write(self, message: Message, args: Any, kwargs: Any) -> Any:
        return (args[0], message.text, *args[2:]), kwargs


def test_a_binder_s_own_refusal_denies_and_is_cleaned() -> None:
    send = RecordingSend()
    with pytest.raises(Denied):
        Guard(Look(), Hide())(bind=Reads(Denied("no secret1 today")))(send)(TO, "hello")
    assert_never_sent(send)


def test_a_binder_serves_a_send_without_a_signature() -> None:
    look = Look()
    assert Guard(look)(bind=Reads())(getattr)("some text", "upper")() == "SOME TEXT"
    assert look.last.text == "upper"


class Slots:
    __slots__ = ("body", "never_set")

    def __init__(self, body: str) -> None:
        self.body = body


def test_a_slot_that_was_never_set_stays_so_in_the_copy() -> None:
    sent: list[Slots] = []

    def send(to: str, mail: Slots) -> None:
        sent.append(mail)

    Guard(Hide())(text="mail.body")(send)(TO, mail := Slots("a secret1"))
    assert sent[0].body == f"a {SECRET}"
    assert not hasattr(sent[0], "never_set")
    assert mail.body == "a secret1"


class Failure(Exception):
    def __init__(self, body: str) -> None:
        self.body = body


def test_g10_an_object_that_cannot_be_copied_denies() -> None:
    sent: list[Failure] = []

    def send(to: str, mail: Failure) -> None:
        sent.append(mail)

    with pytest.raises(Denied, match="a Failure under a text selector cannot be copied"):
        Guard(Hide())(text="mail.body")(send)(TO, Failure("a secret1"))
    assert sent == []


def test_keywords_that_no_parameter_names_are_found_or_absent() -> None:
    look = Look()

    def send(to: str, body: str, **more: Any) -> None: ...

    guarded = Guard(look)(text=("body", "subject"), recipient="to")(send)
    guarded(TO, "hello")
    assert dict(look.last.parts) == {"body": "hello"}
    guarded(TO, "hello", subject="hi", urgent=True)
    assert dict(look.last.parts) == {"body": "hello", "subject": "hi"}


def test_a_sender_that_is_no_text_is_nobody() -> None:
    look = Look()

    def send(to: str, body: str, sender: object = None) -> None: ...

    guarded = Guard(look)(send)
    guarded(TO, "hello", sender=7)
    assert look.last.sender is None


class FailsAtTheSeal(Hide):
    """A mask control that rewrites later words of the team no more."""

    def mask(self, text: str, /) -> tuple[str, Sequence[Finding]]:
        if "late" in text:
            raise ValueError(text)
        return super().mask(text)


class Says:
    def __init__(self, word: str) -> None:
        self.word = word

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
        try:
            return await forward(call.with_text(self.word))
        except GuardrailsError:
            return "never mind"


def test_a_preview_shows_the_seal_s_refusal_whatever_a_control_makes_of_it() -> None:
    decision = Guard(FailsAtTheSeal(), Says("late"), channel="sms").preview("hello", recipient=TO)
    assert not decision.allowed
    assert isinstance(decision.refusal, ControlError)


def test_production_asks_only_controls_that_have_something_to_say() -> None:
    asked: list[Any] = []

    class Asked(Look):
        def require_production(self) -> None:
            asked.append(self)

    Guard(Look(), Asked(), production=True)
    assert len(asked) == 1


def test_an_answer_instead_of_a_stream_is_given_as_it_is() -> None:
    assert list(Guard(Answer("no"))(relays)(TO, pieces("a"))) == ["no"]
