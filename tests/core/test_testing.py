"""The fakes of `guardrails.testing` do what they say."""

from __future__ import annotations

import inspect
import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from guardrails.audit import AuditLog
from guardrails.audit.sink import Sink
from guardrails.core.call import Call
from guardrails.core.checks import check
from guardrails.core.control import Forward, Io
from guardrails.core.guard import Guard
from guardrails.core.message import Message
from guardrails.core.verdict import Deny
from guardrails.errors import ConfigError, ControlError, Deferred, Denied, Unavailable
from guardrails.keys import Keys
from guardrails.testing import (
    CapturingSink,
    FakeIo,
    RecordingSend,
    assert_never_sent,
    atry_control,
    try_control,
)
from tests.conftest import Run, on_asyncio
from tests.core.doubles import SECRET, Answer, Change, Hide, Raise, Record
from tests.core.ways import TO, WAYS, Way


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_recording_send_records_and_replies_in_every_shape(way: Way) -> None:
    send = way.send(reply="thanks")
    assert way.deliver(Guard(channel="sms"), send) == "thanks"
    assert send.calls == [(TO, "hello")]
    assert "hello" not in repr(send)


@pytest.mark.parametrize("way", WAYS, ids=str)
def test_a_recording_send_raises_in_every_shape(way: Way) -> None:
    with pytest.raises(OSError, match="down"):
        way.deliver(Guard(channel="sms"), send := way.send(raises=OSError("down")))
    assert len(send.calls) == 1


@pytest.mark.parametrize("way", [way for way in WAYS if way.kind == "object"], ids=str)
def test_a_recording_send_streams_its_chunks_and_then_raises(way: Way) -> None:
    if way.shape in ("sync", "async"):
        pytest.skip("one reply")
    assert way.deliver(Guard(channel="sms"), way.send(reply=["a", "b", "c"])) == "abc"
    assert way.deliver(Guard(channel="sms"), way.send(reply=[])) == ""
    with pytest.raises(OSError, match="cut"):
        way.deliver(Guard(channel="sms"), way.send(reply=["a"], raises=OSError("cut")))
    with pytest.raises(OSError, match="cut"):
        way.deliver(Guard(channel="sms"), way.send(reply=[], raises=OSError("cut")))


def test_a_recording_send_looks_like_its_shape() -> None:
    call = type(RecordingSend(shape="async")).__call__
    assert inspect.iscoroutinefunction(call)
    assert inspect.isgeneratorfunction(type(RecordingSend(shape="generator")).__call__)
    assert inspect.isasyncgenfunction(type(RecordingSend(shape="async generator")).__call__)
    with pytest.raises(ConfigError, match="shape"):
        RecordingSend(shape="telepathy")  # type: ignore[arg-type]  # what is tested


def test_assert_never_sent_says_how_often_and_no_text() -> None:
    send = RecordingSend()
    assert_never_sent(send)
    send(TO, "my secret")
    with pytest.raises(AssertionError, match="1 time") as caught:
        assert_never_sent(send)
    assert "secret" not in str(caught.value)


def test_fake_io_stands_still_until_somebody_sleeps(run: Run) -> None:
    start = datetime(2024, 2, 29, 12, tzinfo=UTC)
    io = FakeIo(now=start)

    async def main() -> None:
        await io.sleep(90)
        assert await io.ask(blocking=lambda: 7) == 7

        async def eight() -> int:
            return 8

        assert await io.ask(awaiting=eight) == 8
        with pytest.raises(ConfigError):
            await io.ask()

    run(main)
    assert io.sleeps == [90]
    assert io.asked == 3
    assert io.now() == start + timedelta(seconds=90)
    assert io.monotonic() == 90
    io.advance(10)
    assert io.monotonic() == 100
    with pytest.raises(ConfigError, match="aware"):
        FakeIo(now=datetime(2024, 1, 1))  # noqa: DTZ001 - what is tested


def test_a_capturing_sink_holds_what_an_audit_log_wrote() -> None:
    sink = CapturingSink()
    assert isinstance(sink, Sink)
    with Guard(AuditLog(sink, keys=Keys(b"k" * 32)), channel="sms") as guard:
        guard(RecordingSend())(TO, "hello")
    assert [line["stage"] for line in sink.records if line["stage"] in ("intent", "outcome")] == ["intent", "outcome"]
    assert len(sink.streams) == 1
    assert sink.closed >= 1
    assert True in sink.durable
    assert "lines" in repr(sink)


def test_g1_a_capturing_sink_that_fails_or_hangs_stops_sends() -> None:
    sink, send = CapturingSink(), RecordingSend()
    guard = Guard(AuditLog(sink, keys=Keys(b"k" * 32), deadline_seconds=0.2), channel="sms").open()
    safe = guard(send)
    sink.hang()
    with pytest.raises(Unavailable):
        safe(TO, "x")
    assert sink.wait_until_hanging()
    assert_never_sent(send)
    sink.resume()
    guard.close()

    sink = CapturingSink()
    guard = Guard(AuditLog(sink, keys=Keys(b"k" * 32), deadline_seconds=0.2), channel="sms").open()
    sink.fail(ValueError("disk"))
    with pytest.raises(Unavailable):
        guard(send)(TO, "x")
    assert_never_sent(send)
    sink.resume()
    guard.close()


def test_a_sink_fails_as_often_as_it_is_told() -> None:
    sink = CapturingSink()
    sink.fail(times=1)
    with pytest.raises(OSError, match="told to fail"):
        sink.write([b"{}\n"], durable=True)
    sink.write([b"{}\n"], durable=False)
    assert sink.records == [{}]
    assert sink.durable == [False]


def test_a_hanging_write_goes_on_after_resume() -> None:
    sink = CapturingSink()
    sink.hang()
    thread = threading.Thread(target=sink.write, args=([b"{}\n"],), kwargs={"durable": True})
    thread.start()
    assert sink.wait_until_hanging()
    assert sink.lines == []
    sink.resume()
    thread.join()
    assert sink.lines == [b"{}\n"]


class Waits:
    """A control that sleeps first."""

    deadline_seconds = 7_200.0

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
        await io.sleep(3600)
        return await forward(call)


def test_try_control_shows_what_a_control_does() -> None:
    trial = try_control(Change(str.upper), "hello")
    assert trial.forwarded is not None
    assert trial.forwarded.text == "HELLO"
    assert trial.reply == "sent"
    assert trial.error is None
    assert "HELLO" not in repr(trial)

    trial = try_control(Hide(), Message("my secret", channel="llm"), reply="a secret")
    assert trial.forwarded is not None
    assert trial.forwarded.text == f"my {SECRET}"
    assert trial.reply == f"a {SECRET}"
    assert [note.verdict for note in trial.verdicts] == ["mask", "mask"]  # the message, and the reply

    assert isinstance(try_control(Raise(Denied("no")), "x").error, Denied)
    error = try_control(Raise(ValueError("secret")), "x").error
    assert isinstance(error, ControlError)
    assert error.control == "Raise"
    assert "doubles.py" in (error.where or "")
    assert isinstance(try_control(Answer(None), "x").error, ControlError)
    assert try_control(Answer("mine"), "x").reply == "mine"
    assert try_control(Record(), "x").error is None


def test_try_control_hands_out_a_fake_io() -> None:
    io = FakeIo()
    assert try_control(Waits(), "x", io=io).reply == "sent"
    assert io.sleeps == [3600]

    @check
    def later(message: Message) -> Any:
        from guardrails.core.verdict import Defer  # noqa: PLC0415 - only here

        return Defer(60)

    error = try_control(later, "x", io=io).error
    assert isinstance(error, Deferred)
    assert error.not_before == io.now() + timedelta(seconds=60)


def test_atry_control_tries_controls_that_need_a_loop(run: Run) -> None:
    @check
    async def refuses(message: Message) -> Deny:
        return Deny("no")

    async def main() -> None:
        assert isinstance((await atry_control(refuses, "x")).error, Denied)
        assert (await atry_control(Waits(), "x")).reply == "sent"

    run(main)
    on_asyncio(main)
    with pytest.raises(ConfigError):
        try_control(refuses, "x")


class Late:
    """Control whose step looks at the clock at the door."""

    def __init__(self) -> None:
        self.seen: list[tuple[str, int, datetime]] = []

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
        self.seen.append(("guard", 0, io.now()))
        for step in (Look(self), Other(self), Look(self)):
            call.at_door(step)
        return await forward(call)


class Look:
    """Door step that says when it was asked, and with how many peers."""

    phase = "recheck"

    def __init__(self, late: Late) -> None:
        self.store = self.late = late

    async def commit(self, sealed: Any, peers: Any, io: Io, /) -> None:  # noqa: ARG002 - the shape of a step
        assert all(type(peer) is type(self) for peer in peers)
        self.late.seen.append((type(self).__name__, len(peers), io.now()))
        if type(self) is Other:
            raise Denied("late")

    async def undo(self, io: Io, /) -> None:
        self.late.seen.append(("undo", 0, io.now()))

    def settle(self, outcome: Any, /) -> None:  # noqa: ARG002 - the shape of a step
        raise AssertionError("nothing was committed")


class Other(Look):
    """Another type: committed by itself."""


def test_door_steps_of_a_control_that_is_tried_wait_for_the_same_io_as_itself() -> None:
    then = datetime(2024, 5, 1, 20, 59, tzinfo=UTC)
    trial = try_control(late := Late(), "hello", io=FakeIo(now=then))
    assert isinstance(trial.error, Denied)
    assert {at for _, _, at in late.seen} == {then}
    assert [(name, peers) for name, peers, _ in late.seen] == [
        ("guard", 0), ("Look", 1), ("Other", 0), ("undo", 0), ("undo", 0), ("undo", 0)
    ]  # fmt: skip


class Dozes:
    """Sleeps on the way in, at the door, and on the way out."""

    name = "dozes"
    deadline_seconds = 10.0
    phase, store = "reserve", "dozes"

    def __init__(self, before: float = 0.0, door: float = 0.0, after: float = 0.0) -> None:
        self.before, self.door, self.after = before, door, after

    async def guard(self, call: Any, forward: Any, io: Any, /) -> Any:
        await io.sleep(self.before)
        call.at_door(self)
        reply = await forward(call)
        await io.sleep(self.after)
        return reply

    async def commit(self, sealed: Any, peers: Any, io: Any, /) -> None:  # noqa: ARG002 - the shape of a step
        await io.sleep(self.door)

    async def undo(self, io: Any, /) -> None:
        """Nothing was taken."""

    def settle(self, outcome: Any, /) -> None:
        """Nothing to do."""


@pytest.mark.parametrize(
    ("slow", "sent"),
    [
        (Dozes(before=3_600), False),
        (Dozes(door=3_600), False),
        (Dozes(after=3_600), True),
        (Dozes(before=6, after=6), True),
    ],
)
def test_g10_a_control_that_is_tried_is_held_to_its_deadline_in_the_time_of_the_trial(slow: Dozes, *, sent: bool) -> None:
    for tried in (try_control(slow, "hello"), on_asyncio(lambda: atry_control(slow, "hello"))):
        assert isinstance(tried.error, ControlError)
        assert tried.error.sent is sent
        assert (tried.forwarded is not None) is sent


def test_a_control_that_is_tried_may_wait_within_its_deadline() -> None:
    io = FakeIo()
    assert try_control(Dozes(4, 4, 4), "hello", io=io).error is None
    assert io.sleeps == [4, 4, 4]
