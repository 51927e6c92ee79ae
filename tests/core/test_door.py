# ruff: noqa: ARG002 - controls and steps take what the contract gives them
"""G1, G2 and G6 at the door: what is committed, in which order, what is undone, and what is said about it."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Hashable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pytest
import trio
from hypothesis import given, settings
from hypothesis import strategies as st

from guardrails.audit import AuditLog
from guardrails.core.call import Call
from guardrails.core.checks import monitor
from guardrails.core.control import PHASES, Forward, Io, Outcome, Sealed
from guardrails.core.guard import Guard
from guardrails.errors import ControlError, Denied, GuardrailsError, RateLimited, Unavailable
from guardrails.keys import Keys
from guardrails.ratelimit import RateLimit
from guardrails.testing import CapturingSink, RecordingSend, assert_never_sent
from tests.conftest import LOOPS, at_once, on_asyncio, on_trio
from tests.core.doubles import Change, Look, Raise, Record
from tests.core.ways import TO, WAYS, Way

FUNCTIONS = [way for way in WAYS if way.kind == "function"]
STREAMING = ("generator", "async generator")


@dataclass(frozen=True)
class Spec:
    """One step, and what happens to it."""

    phase: str
    store: str
    kind: int = 0  # steps of one type, phase and store are committed together
    fails: str = "no"  # "no", "denied", "crash"
    undo_fails: bool = False
    settle_fails: bool = False


class Base:
    """A step that writes down what is done to it."""

    def __init__(self, number: int, spec: Spec, log: list[tuple[str, Any]]) -> None:
        self.number = number
        self.spec = spec
        self.log = log

    @property
    def phase(self) -> str:
        return self.spec.phase

    @property
    def store(self) -> Hashable:
        return self.spec.store

    async def commit(self, sealed: Sealed, peers: Sequence[Any], io: Io, /) -> None:
        everyone = [self, *peers]
        self.log.append(("commit", tuple(step.number for step in everyone)))
        for step in everyone:
            if step.spec.fails == "denied":
                raise Denied(f"step {step.number}")
            if step.spec.fails == "crash":
                raise ValueError("crash")

    async def undo(self, io: Io, /) -> None:
        self.log.append(("undo", self.number))
        if self.spec.undo_fails:
            raise ValueError("undo")

    def settle(self, outcome: Outcome, /) -> None:
        self.log.append(("settle", (self.number, outcome.result)))
        if self.spec.settle_fails:
            raise ValueError("settle")


class Zero(Base):
    """One kind."""


class One(Base):
    """Another kind."""


class Registers:
    """Registers one step."""

    def __init__(self, step: Any) -> None:
        self.step = step

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
        call.at_door(self.step)
        return await forward(call)


def model(specs: Sequence[Spec], sent_result: str) -> list[tuple[str, Any]]:
    """What should happen, naively."""
    expected: list[tuple[str, Any]] = []
    entered: list[int] = []
    rest = list(range(len(specs)))
    rest.sort(key=lambda number: PHASES.index(specs[number].phase))
    failed = False
    while rest and not failed:
        first = specs[rest[0]]
        group = [
            n for n in rest if (specs[n].phase, specs[n].store, specs[n].kind) == (first.phase, first.store, first.kind)
        ]
        rest = [n for n in rest if n not in group]
        entered += group
        expected.append(("commit", tuple(group)))
        failed = any(specs[n].fails != "no" for n in group)
    if failed:
        return [*expected, *(("undo", number) for number in reversed(entered))]
    return [*expected, *(("settle", (number, sent_result)) for number in entered)]


specs = st.builds(
    Spec,
    phase=st.sampled_from(PHASES),
    store=st.sampled_from(["a", "b"]),
    kind=st.sampled_from([0, 1]),
    fails=st.sampled_from(["no"] * 8 + ["denied", "crash"]),
    undo_fails=st.booleans(),
    settle_fails=st.booleans(),
)


@settings(max_examples=300, deadline=None)
@given(specs=st.lists(specs, max_size=7), raises=st.booleans(), loop=st.sampled_from(["here", "asyncio", "trio"]))
def test_g6_steps_are_committed_in_order_and_undone_in_reverse_as_the_model_says(
    specs: list[Spec],
    raises: bool,  # noqa: FBT001 - drawn
    loop: str,
) -> None:
    log: list[tuple[str, Any]] = []
    steps = [(One if spec.kind else Zero)(number, spec, log) for number, spec in enumerate(specs)]
    send = RecordingSend(shape="sync" if loop == "here" else "async", raises=OSError("provider") if raises else None)
    safe = Guard(*map(Registers, steps), channel="sms")(send)
    with contextlib.suppress(GuardrailsError, OSError):
        if loop == "here":
            safe(TO, "hello")
        else:
            LOOPS[loop](lambda: safe(TO, "hello"))
    expected = model(specs, "failed" if raises else "sent")
    assert expected == log
    assert len(send.calls) == (0 if any(what == "undo" for what, _ in expected) else 1)


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
@pytest.mark.parametrize("fails", ["denied", "crash"])
@pytest.mark.parametrize("after", range(4))
def test_g2_a_step_that_fails_sends_nothing_in_any_shape(way: Way, fails: str, after: int) -> None:
    log: list[tuple[str, Any]] = []
    good = [Zero(number, Spec("reserve", str(number)), log) for number in range(after)]
    bad = Zero(99, Spec("intent", "x", fails=fails), log)
    record, send = Record(), way.send()
    with pytest.raises(Denied if fails == "denied" else ControlError) as caught:
        way.deliver(Guard(record, *map(Registers, [bad, *good]), channel="sms"), send)
    assert_never_sent(send)
    assert caught.value.sent is False
    assert caught.value.control == "Registers"
    assert record.outcomes == []
    assert record.undone == len(record.intents) == 1
    undone = [number for what, number in log if what == "undo"]
    assert undone == [99, *reversed(range(after))]


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
@pytest.mark.parametrize("raises", [None, OSError("x"), TimeoutError("x")])
def test_g1_every_intent_has_exactly_one_outcome(way: Way, raises: Exception | None) -> None:
    record, send = Record(), way.send(raises=raises)
    with contextlib.suppress(OSError):
        way.deliver(Guard(record, channel="sms"), send)
    assert len(record.intents) == 1
    assert record.results == ["sent" if raises is None else "unknown" if isinstance(raises, TimeoutError) else "failed"]


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
def test_g1_the_intent_is_written_before_the_send_is_entered(way: Way) -> None:
    record, seen = Record(), []

    class Watches(RecordingSend):
        pass

    send = way.send()

    class Calls(list[Any]):
        def append(self, item: Any) -> None:
            seen.append((list(record.intents), list(record.outcomes)))
            super().append(item)

    send.calls = Calls()
    way.deliver(Guard(record, channel="sms"), send)
    assert seen == [(["hello"], [])]


# -- cancelled anywhere --------------------------------------------------------------------------------------------------


class Waits:
    """A step that pauses on the loop while it commits and while it is undone."""

    def __init__(self, name: str, phase: str, log: list[str], pauses: int = 2) -> None:
        self.name, self.phase, self.log, self.pauses = name, phase, log, pauses
        self.store = name

    async def commit(self, sealed: Sealed, peers: Sequence[Any], io: Io, /) -> None:
        self.log.append(f"enter {self.name}")
        for _ in range(self.pauses):
            await io.sleep(0)
        self.log.append(f"commit {self.name}")

    async def undo(self, io: Io, /) -> None:
        for _ in range(self.pauses):
            await io.sleep(0)
        self.log.append(f"undo {self.name}")

    def settle(self, outcome: Outcome, /) -> None:
        self.log.append(f"settle {self.name} {outcome.result}")


class Pauses:
    """A control that pauses before and after what it forwards."""

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
        await io.sleep(0)
        reply = await forward(call)
        await io.sleep(0)
        return reply


def _cancellable(log: list[str]) -> Any:
    async def send(to: str, body: str) -> str:
        log.append("send")
        await asyncio.sleep(0) if _on_asyncio() else await trio.lowlevel.checkpoint()
        log.append("sent")
        return "sent"

    guard = Guard(
        Registers(Waits("intent", "intent", log)), Pauses(), Registers(Waits("limit", "reserve", log)), channel="sms"
    )
    return guard(send)


def _on_asyncio() -> bool:
    try:
        return asyncio.current_task() is not None
    except RuntimeError:
        return False


def _consistent(log: list[str], *, cancelled: bool) -> None:
    """Entered steps are either undone (never sent) or settled once (sent), never both, never neither."""
    entered = [line.split()[1] for line in log if line.startswith("enter")]
    undone = [line.split()[1] for line in log if line.startswith("undo")]
    settled = [line.split()[1] for line in log if line.startswith("settle")]
    if "send" in log:
        assert entered == ["limit", "intent"]
        assert undone == []
        assert settled == ["limit", "intent"]
        if cancelled and "sent" not in log:
            assert "settle intent cancelled" in log
    else:
        assert settled == []
        assert undone == entered[::-1]


def _cancelled_at(turns: int, *, twice: bool) -> tuple[list[str], bool]:
    log: list[str] = []

    async def main() -> bool:
        task = asyncio.create_task(_cancellable(log)(TO, "hello"))
        for _ in range(turns):
            await asyncio.sleep(0)
        task.cancel()
        if twice:
            await asyncio.sleep(0)
            task.cancel()
        await asyncio.wait([task])
        if not task.cancelled():
            assert task.exception() is None
        return task.cancelled()

    return log, on_asyncio(main)


@pytest.mark.parametrize("turns", range(20))
@pytest.mark.parametrize("twice", [False, True])
def test_g1_g2_g6_cancelled_at_any_await_point_on_asyncio(turns: int, twice: bool) -> None:  # noqa: FBT001
    log, cancelled = _cancelled_at(turns, twice=twice)
    _consistent(log, cancelled=cancelled)


def test_the_cancellations_above_reach_past_the_end() -> None:
    log, cancelled = _cancelled_at(19, twice=False)
    assert not cancelled
    assert log[-1] == "settle intent sent"


@pytest.mark.parametrize("turns", range(20))
def test_g1_g2_g6_cancelled_at_any_checkpoint_on_trio(turns: int) -> None:
    log: list[str] = []

    async def main() -> bool:
        with trio.CancelScope() as scope:
            async with trio.open_nursery() as nursery:

                async def cancel() -> None:
                    for _ in range(turns):
                        await trio.lowlevel.checkpoint()
                    scope.cancel()

                nursery.start_soon(cancel)
                await _cancellable(log)(TO, "hello")
                nursery.cancel_scope.cancel()
        return scope.cancelled_caught

    _consistent(log, cancelled=on_trio(main))


def test_g1_cancelled_while_the_intent_is_written_is_abandoned_and_not_sent() -> None:
    sink, send = CapturingSink(), RecordingSend(shape="async")
    limit = RateLimit("1/hour")
    guard = Guard(AuditLog(sink, keys=Keys(b"k" * 32)), limit, channel="sms")
    safe = guard.open()(send)

    async def main() -> None:
        sink.hang()
        task = asyncio.create_task(safe(TO, "hello"))
        await asyncio.to_thread(sink.wait_until_hanging)
        task.cancel()
        await asyncio.wait([task])
        assert task.cancelled()
        sink.resume()
        assert_never_sent(send)
        assert await safe(TO, "again") == "sent"  # the limit of one was not used up

    on_asyncio(main)
    guard.close()
    intents = [line for line in sink.records if line["stage"] == "intent"]
    outcomes = [line["result"] for line in sink.records if line["stage"] == "outcome"]
    assert len(intents) == 2
    assert outcomes == ["abandoned", "sent"]


# -- steps that hang ------------------------------------------------------------------------------------------------------


class Hangs:
    """A step that hangs while it commits, or while it is undone."""

    deadline_seconds = 0.02

    def __init__(self, where: str, log: list[str], *, swallow: bool = False) -> None:
        self.where, self.log, self.swallow = where, log, swallow
        self.phase, self.store = "intent", "hangs"

    async def commit(self, sealed: Sealed, peers: Sequence[Any], io: Io, /) -> None:
        self.log.append("enter")
        while self.where == "commit":
            try:
                await io.sleep(30)
            except asyncio.CancelledError:
                if not self.swallow:
                    raise
        raise Denied("after all")

    async def undo(self, io: Io, /) -> None:
        self.log.append("undo")

    def settle(self, outcome: Outcome, /) -> None:
        self.log.append("settle")


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
def test_g10_a_step_that_hangs_is_undone_and_nothing_is_sent(way: Way) -> None:
    log: list[str] = []
    send = way.send()
    with pytest.raises(GuardrailsError, match="deadline") as caught:
        way.deliver(Guard(Registers(Hangs("commit", log)), channel="sms"), send)
    assert_never_sent(send)
    assert caught.value.sent is False
    assert log == ["enter", "undo"]


def test_g6_a_step_that_swallows_cancellation_for_ever_does_not_keep_what_the_others_reserved() -> None:
    log: list[str] = []
    seen: list[tuple[str, Any]] = []
    send = RecordingSend(shape="async")
    guard = Guard(
        Registers(Zero(1, Spec("reserve", "a"), seen)), Registers(Hangs("commit", log, swallow=True)), channel="sms"
    )

    async def main() -> None:
        with pytest.raises(GuardrailsError):
            await guard(send)(TO, "hello")

    on_asyncio(main)
    assert_never_sent(send)
    assert seen == [("commit", (1,)), ("undo", 1)]


@pytest.mark.parametrize("fault", ["phase", "unhashable", "late"])
@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
def test_g10_a_step_that_breaks_the_contract_denies(way: Way, fault: str) -> None:
    log: list[tuple[str, Any]] = []
    step: Any = Zero(0, Spec("soon" if fault == "phase" else "reserve", "a"), log)
    if fault == "unhashable":
        step = Zero(0, Spec("reserve", []), log)  # type: ignore[arg-type]  # what is tested

    class Late:
        async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
            reply = await forward(call)
            call.at_door(step)
            return reply

    send = way.send()
    control = Late() if fault == "late" else Registers(step)
    other = Registers(Zero(1, Spec("reserve", "b"), log))
    with pytest.raises(ControlError) as caught:
        way.deliver(Guard(Record(), other, control, channel="sms"), send)
    assert caught.value.control in ("Registers", "Late", "binding")
    if fault != "late":
        assert_never_sent(send)
        assert not any(what == "settle" for what, _ in log)


# -- G6 with the real limits --------------------------------------------------------------------------------------------


class FailingIntent(Record):
    """A record that cannot be written, for a while."""

    broken = True

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
        record = self

        class Intent:
            phase: str = "intent"
            store: str = "record"

            async def commit(self, *_: Any) -> None:
                if record.broken:
                    raise Unavailable("disk full")
                record.intents.append("x")

            async def undo(self, io: Io) -> None: ...
            def settle(self, outcome: Outcome) -> None:
                record.outcomes.append(outcome)

        call.at_door(Intent())
        return await forward(call)


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
@pytest.mark.parametrize("error", [Denied("no"), Unavailable("no"), ValueError("crash")], ids=repr)
def test_g6_a_message_refused_by_any_control_consumes_nothing(way: Way, error: Exception) -> None:
    limit = RateLimit("2/hour", per="recipient")
    refuses = Guard(Record(), limit, Raise(error), channel="sms")
    for _ in range(5):
        with pytest.raises(GuardrailsError):
            way.deliver(refuses, way.send())
    record, send = Record(), way.send()
    allows = Guard(record, limit, channel="sms")
    assert [way.deliver(allows, send) for _ in range(2)] == ["sent", "sent"]
    with pytest.raises(RateLimited) as caught:
        way.deliver(allows, send)
    assert caught.value.sent is False
    assert len(send.calls) == 2


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
def test_g6_a_message_whose_intent_cannot_be_written_consumes_nothing(way: Way) -> None:
    record, send = FailingIntent(), way.send()
    guard = Guard(record, RateLimit("2/hour", per="recipient"), channel="sms")
    for _ in range(5):
        with pytest.raises(Unavailable):
            way.deliver(guard, send)
    assert_never_sent(send)
    record.broken = False
    assert [way.deliver(guard, send) for _ in range(2)] == ["sent", "sent"]
    with pytest.raises(RateLimited):
        way.deliver(guard, send)
    assert record.results == ["sent", "sent"]


@pytest.mark.parametrize("refused", [False, True])
def test_g6_threads_behind_a_barrier_get_exactly_what_the_limit_allows(refused: bool) -> None:  # noqa: FBT001
    threads, allowed = 12, 7
    sent, limited, denied = [], [], []
    limit = RateLimit(f"{allowed}/hour")
    record = Record()
    allows = Guard(record, limit, channel="sms")(RecordingSend())
    refuses = Guard(Record(), limit, Raise(Denied("no")), channel="sms")(RecordingSend())

    def work(number: int) -> None:
        for _ in range(3):
            if refused:
                with contextlib.suppress(RateLimited):
                    try:
                        refuses(TO, "x")
                    except RateLimited:
                        raise
                    except Denied:
                        denied.append(number)
            try:
                sent.append(allows(TO, "x"))
            except RateLimited as error:
                limited.append(error)

    at_once(*(partial(work, number) for number in range(threads)))
    assert len(sent) == allowed
    assert len(limited) == threads * 3 - allowed
    assert record.results == ["sent"] * allowed


@pytest.mark.parametrize("loop", LOOPS)
def test_g6_tasks_get_exactly_what_the_limit_allows(loop: str) -> None:
    limit, record, send = RateLimit("5/hour"), Record(), RecordingSend(shape="async")
    safe = Guard(record, limit, Pauses(), channel="sms")(send)
    results: list[str] = []

    async def one() -> None:
        try:
            results.append(await safe(TO, "x"))
        except RateLimited:
            results.append("limited")

    async def on_a_loop() -> None:
        if loop == "asyncio":
            await asyncio.gather(*(one() for _ in range(20)))
        else:
            async with trio.open_nursery() as nursery:
                for _ in range(20):
                    nursery.start_soon(one)

    LOOPS[loop](on_a_loop)
    assert sorted(results) == ["limited"] * 15 + ["sent"] * 5
    assert len(send.calls) == 5


# -- the rest -----------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
def test_steps_see_the_message_as_it_will_be_sent(way: Way) -> None:
    record = Record()
    way.deliver(Guard(record, Change(str.upper), channel="sms"), way.send())
    assert record.intents == ["HELLO"]
    sealed = record.sealed[0]
    assert sealed.message.recipients == (TO,)
    assert len(sealed.send_id) == 32
    assert [note.control for note in sealed.verdicts] == ["Change"]


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
def test_a_monitored_step_that_refuses_is_undone_and_noted_and_the_message_goes_out(way: Way) -> None:
    log: list[tuple[str, Any]] = []
    step = Zero(0, Spec("reserve", "a", fails="denied"), log)
    record, send = Record(), way.send()
    assert way.deliver(Guard(record, monitor(Registers(step)), Look(), channel="sms"), send) == "sent"
    assert log == [("commit", (0,)), ("undo", 0)]
    assert "shadow_deny" in [note.verdict for note in record.sealed[0].verdicts]
    assert len(send.calls) == 1
