# ruff: noqa: ARG002 - controls take what the contract gives them
"""6.5: a control object commits once per real send; any other inner call is a send of its own."""

from __future__ import annotations

import asyncio
import contextlib
import threading
from collections.abc import Iterator
from contextvars import copy_context
from typing import Any

import pytest

from guardrails.core.checks import monitor
from guardrails.core.guard import Guard
from guardrails.core.message import Message
from guardrails.errors import Denied, RateLimited
from guardrails.ratelimit import RateLimit
from guardrails.testing import RecordingSend
from tests.conftest import on_asyncio
from tests.core.doubles import SECRET, Change, Hide, Look, Raise, Record
from tests.core.ways import TO, WAYS, Way

FUNCTIONS = [way for way in WAYS if way.kind == "function"]
OTHER = "+12125550174"


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
def test_one_guard_around_itself_records_and_charges_once(way: Way) -> None:
    record, limit, send = Record(), RateLimit("1/hour", per="recipient"), way.send()
    guard = Guard(record, limit, Hide(), look := Look(), channel="sms")
    inner = way.guarded(guard, send)
    assert way.drive(lambda: guard(inner), body="my secret") == "sent"
    assert send.calls == [(TO, f"my {SECRET}")]
    assert record.intents == [f"my {SECRET}"]
    assert record.results == ["sent"]
    assert len(look.messages) == 1
    with pytest.raises(RateLimited):
        way.drive(lambda: guard(inner))


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
def test_three_guards_of_one_platform_record_once_and_every_team_acts_once(way: Way) -> None:
    record, send = Record(), way.send()
    platform = Guard(record, RateLimit("1/hour"), Hide(), channel="sms")
    looks = [Look() for _ in range(3)]
    guards = [platform.extend(look) for look in looks]
    one = way.guarded(guards[0], send)
    two = guards[1](one)
    assert way.drive(lambda: guards[2](two), body="my secret") == "sent"
    assert record.results == ["sent"]
    assert [len(look.messages) for look in looks] == [1, 1, 1]
    assert {look.last.text for look in looks} == {f"my {SECRET}"}
    assert len(send.calls) == 1


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
def test_a_control_of_the_inner_guard_alone_acts(way: Way) -> None:
    record, inner_record, send = Record(), Record(), way.send()
    inner = way.guarded(Guard(inner_record, Raise(Denied("inner")), channel="sms"), send)
    with pytest.raises(Denied):
        way.drive(lambda: Guard(record, channel="sms")(inner))
    assert send.calls == []
    assert inner_record.intents == []
    assert record.results == ["failed"]


@pytest.mark.parametrize(("to", "body"), [(OTHER, "hello"), (TO, "another text"), (OTHER, "another text")])
def test_an_inner_call_with_another_text_or_recipient_is_its_own_send(to: str, body: str) -> None:
    record, send = Record(), RecordingSend()
    guard = Guard(record, channel="sms")
    inner = guard(send)

    def outer(first: str, second: str) -> str:
        return str(inner(to, body))

    assert guard.wrap(outer, text="second", recipient="first")(TO, "hello") == "sent"
    assert record.intents == ["hello", body]
    assert record.results == ["sent", "sent"]


def test_a_retry_in_the_send_is_its_own_send_the_second_time() -> None:
    record, limit, send = Record(), RateLimit("5/hour"), RecordingSend()
    guard = Guard(record, limit, channel="sms")
    inner = guard(send)

    @guard
    def outer(to: str, body: str) -> list[str]:
        return [inner(to, body), inner(to, body), inner(to, body)]

    assert outer(TO, "hello") == ["sent"] * 3
    assert len(send.calls) == 3
    assert record.intents == ["hello"] * 3


def test_g6_an_inner_send_of_its_own_is_limited() -> None:
    send = RecordingSend()
    guard = Guard(RateLimit("2/hour"), channel="sms")
    inner = guard(send)

    @guard
    def outer(to: str, body: str) -> str:
        inner(to, body)
        inner(to, body)
        with pytest.raises(RateLimited):
            inner(to, body)
        return "done"

    assert outer(TO, "hello") == "done"
    assert len(send.calls) == 2


def test_the_marker_is_granted_once_to_threads_behind_a_barrier() -> None:
    threads = 8
    record, send = Record(), RecordingSend()
    guard = Guard(record, channel="sms")
    inner = guard(send)
    barrier = threading.Barrier(threads)

    @guard
    def outer(to: str, body: str) -> str:
        def work() -> None:
            barrier.wait()
            inner(to, body)

        workers = [threading.Thread(target=copy_context().run, args=(work,)) for _ in range(threads)]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()
        return "done"

    outer(TO, "hello")
    assert len(send.calls) == threads
    assert len(record.intents) == threads  # the outer one, and all but one of the inner ones


def test_a_plain_thread_inherits_nothing() -> None:
    record, send = Record(), RecordingSend()
    guard = Guard(record, channel="sms")
    inner = guard(send)

    @guard
    def outer(to: str, body: str) -> str:
        thread = threading.Thread(target=inner, args=(to, body))
        thread.start()
        thread.join()
        return "done"

    outer(TO, "hello")
    assert record.intents == ["hello", "hello"]


def test_g1_a_task_that_outlives_the_send_inherits_nothing() -> None:
    record, send = Record(), RecordingSend(shape="async")
    guard = Guard(record, channel="sms")
    inner = guard(send)
    tasks: list[asyncio.Task[Any]] = []
    ended = asyncio.Event()

    async def later(to: str, body: str) -> None:
        await ended.wait()
        await inner(to, body)

    @guard
    async def outer(to: str, body: str) -> str:
        tasks.append(asyncio.create_task(later(to, body)))
        await asyncio.sleep(0)
        return "done"

    async def main() -> None:
        await outer(TO, "hello")
        assert record.results == ["sent"]
        ended.set()
        await tasks[0]

    on_asyncio(main)
    assert record.intents == ["hello", "hello"]
    assert record.results == ["sent", "sent"]


def test_g1_a_guard_without_steps_also_lets_no_task_inherit() -> None:
    look, send = Look(), RecordingSend(shape="async")
    guard = Guard(look, channel="sms")
    inner = guard(send)
    tasks: list[asyncio.Task[Any]] = []

    @guard
    async def outer(to: str, body: str) -> str:
        async def later() -> None:
            await asyncio.sleep(0)
            await inner(to, body)

        tasks.append(asyncio.create_task(later()))
        return "done"

    async def main() -> None:
        await outer(TO, "hello")
        await tasks[0]

    on_asyncio(main)
    assert len(look.messages) == 2


def test_a_task_of_the_send_itself_may_be_the_send() -> None:
    record, send = Record(), RecordingSend(shape="async")
    guard = Guard(record, channel="sms")
    inner = guard(send)

    @guard
    async def outer(to: str, body: str) -> Any:
        return await asyncio.wait_for(inner(to, body), 5)

    assert on_asyncio(lambda: outer(TO, "hello")) == "sent"
    assert record.intents == ["hello"]


def test_between_two_chunks_the_caller_is_not_inside_the_send() -> None:
    record, send = Record(), RecordingSend()
    guard = Guard(record, channel="sms")
    inner = guard(send)

    @guard
    def stream(to: str, body: str) -> Iterator[str]:
        yield "one"
        inner(to, body)  # the same send
        yield "two"

    seen = []
    for chunk in stream(TO, "hello"):
        if chunk == "one":
            inner(TO, "hello")  # the caller's own
        seen.append(chunk)
    assert seen == ["one", "two"]
    assert record.intents == ["hello", "hello"]
    assert len(send.calls) == 2


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
def test_an_inner_control_that_changes_the_text_makes_it_its_own_send(way: Way) -> None:
    record, send = Record(), way.send()
    platform = Guard(record, RateLimit("5/hour"), Hide(), channel="sms")
    inner = way.guarded(platform.extend(Change(lambda text: text + " secrets")), send)
    assert way.drive(lambda: platform(inner), body="my secret") == "sent"
    assert send.calls == [(TO, f"my {SECRET} {SECRET}")]
    assert record.intents == [f"my {SECRET}", f"my {SECRET} {SECRET}"]
    assert record.results == ["sent", "sent"]


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
def test_g2_a_skipped_control_that_acts_late_can_still_refuse(way: Way) -> None:
    send = way.send()
    limit = RateLimit("1/hour")
    record = Record()
    platform = Guard(record, limit, channel="sms")
    inner = way.guarded(platform.extend(Change(str.upper)), send)
    with pytest.raises(RateLimited):
        way.drive(lambda: platform(inner))
    assert send.calls == []
    assert record.intents == ["hello"]
    assert record.results == ["failed"]


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
def test_replacements_of_the_outer_guard_are_not_masked_again(way: Way) -> None:
    class Bites(Hide):
        """Its own replacement would be found by another of its kind."""

        def mask(self, text: str, /) -> Any:
            masked, findings = super().mask(text.replace(SECRET, "secret"))
            return masked, findings

    record, inner_record, send = Record(), Record(), way.send()
    inner = way.guarded(Guard(inner_record, Bites(), channel="sms"), send)
    assert way.drive(lambda: Guard(record, Hide(), channel="sms")(inner), body="my secret") == "sent"
    assert send.calls == [(TO, f"my {SECRET}")]
    assert inner_record.intents == [f"my {SECRET}"]
    assert not inner_record.sealed[0].findings


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
def test_g3_an_object_that_only_watched_outside_acts_inside(way: Way) -> None:
    hide, record, send = Hide(), Record(), way.send()
    inner = way.guarded(Guard(hide, channel="sms"), send)
    assert way.drive(lambda: Guard(record, monitor(hide), channel="sms")(inner), body="my secret") == "sent"
    assert send.calls == [(TO, f"my {SECRET}")]


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
def test_an_object_that_acted_outside_need_not_watch_inside(way: Way) -> None:
    hide, record, send = Hide(), Record(), way.send()
    inner = way.guarded(Guard(record, monitor(hide), channel="sms"), send)
    assert way.drive(lambda: Guard(hide, channel="sms")(inner), body="my secret") == "sent"
    assert send.calls == [(TO, f"my {SECRET}")]
    assert record.intents == [f"my {SECRET}"]


def test_a_failed_inner_send_does_not_give_the_marker_back() -> None:
    record, limit = Record(), RateLimit("5/hour")
    guard = Guard(record, limit, channel="sms")
    fails, works = guard(RecordingSend(raises=OSError("x"))), guard(RecordingSend())

    @guard
    def outer(to: str, body: str) -> str:
        with contextlib.suppress(OSError):
            fails(to, body)
        return str(works(to, body))

    assert outer(TO, "hello") == "sent"
    assert record.intents == ["hello", "hello"]


def test_an_outer_control_that_sends_something_itself_is_its_own_send() -> None:
    record, send = Record(), RecordingSend()
    guard = Guard(record, channel="sms")
    tell = guard(send)

    class Tells:
        async def guard(self, call: Any, forward: Any, io: Any, /) -> object:
            tell(TO, call.message.text)
            return await forward(call)

    assert Guard(Tells(), channel="sms")(RecordingSend())(TO, "hello") == "sent"
    assert record.intents == ["hello"]


def test_a_control_that_sends_during_an_inner_guard_does_not_use_the_marker_of_the_outer_one() -> None:
    """What a control of the inner guard sends by itself is not what the outer guard let through."""
    record, send = Record(), RecordingSend()
    guard = Guard(record, channel="sms")
    tell = guard(send)

    class Tells:
        async def guard(self, call: Any, forward: Any, io: Any, /) -> object:
            tell(OTHER, call.message.text)
            return await forward(call)

    inner = guard.extend(Tells())(send)
    assert guard(inner)(TO, "hello") == "sent"
    assert record.intents == ["hello", "hello"]
    assert len(send.calls) == 2


def test_g1_a_send_that_calls_itself_once_more_is_two_sends() -> None:
    record = Record()
    calls: list[str] = []
    guard = Guard(record, RateLimit("5/hour"), channel="sms")

    @guard
    def send(to: str, body: str) -> str:
        calls.append(body)
        return "sent" if len(calls) == 3 else send(to, body)  # a retry by recursion

    assert send(TO, "hello") == "sent"
    assert calls == ["hello"] * 3
    assert record.intents == ["hello"] * 3


def test_g6_a_send_that_calls_itself_is_charged_each_time() -> None:
    calls: list[str] = []
    guard = Guard(RateLimit("1/hour", per="recipient"), channel="sms")

    @guard
    async def send(to: str, body: str) -> str:
        calls.append(body)
        return await send(to, body)

    with pytest.raises(RateLimited):
        on_asyncio(lambda: send(TO, "hello"))
    assert len(calls) == 1


def test_g1_a_send_that_calls_itself_through_another_guarded_one_is_two_sends() -> None:
    record = Record()
    calls: list[str] = []
    guard = Guard(record, channel="sms")

    @guard
    def notify(to: str, body: str) -> str:
        return str(gateway(to, body))

    @guard
    def gateway(to: str, body: str) -> str:
        calls.append(body)
        return "sent" if len(calls) == 2 else notify(to, body)

    assert notify(TO, "hello") == "sent"
    assert len(calls) == 2
    assert record.intents == ["hello"] * 2


def test_g1_a_method_that_calls_itself_is_two_sends_and_one_that_asks_another_object_is_one() -> None:
    record = Record()
    calls: list[str] = []
    guard = Guard(record, channel="sms")

    class Gateway:
        def __init__(self, inner: Gateway | None = None, times: int = 1) -> None:
            self.inner, self.times = inner, times

        @guard
        def send(self, to: str, body: str) -> str:
            if self.inner is not None:
                return self.inner.send(to, body)
            calls.append(body)
            return "sent" if len(calls) == self.times else self.send(to, body)

    assert Gateway(Gateway()).send(TO, "handed on") == "sent"
    assert record.intents == ["handed on"]
    calls.clear()
    assert Gateway(times=2).send(TO, "again") == "sent"
    assert record.intents == ["handed on", "again", "again"]


def test_g1_a_message_that_is_run_within_its_own_send_is_two_sends() -> None:
    record = Record()
    calls: list[str] = []
    guard = Guard(record, channel="sms")

    def send(message: Message) -> str:
        calls.append(message.text)
        return "sent" if len(calls) == 2 else guard.run(message, send)

    assert guard.run(Message("hello", channel="sms", recipients=TO), send) == "sent"
    assert record.intents == ["hello"] * 2
