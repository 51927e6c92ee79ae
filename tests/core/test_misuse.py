# ruff: noqa: ARG002, ARG005 - controls, steps and stand-ins take what the contract gives them
"""G10 and the words for it: what code that uses the core wrongly is told, and that nothing is sent meanwhile."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

import pytest

from guardrails import Guard, check
from guardrails.core.call import Call
from guardrails.core.control import Forward, Io
from guardrails.core.message import Message
from guardrails.core.verdict import Rewrite
from guardrails.errors import ConfigError, ControlError
from guardrails.testing import RecordingSend, assert_never_sent
from tests.conftest import Run, on_asyncio, on_trio
from tests.core.doubles import Look, Record
from tests.core.ways import TO

LOOPS = pytest.mark.parametrize("run", [on_asyncio, on_trio])


class Does:
    """Does what it is told before it forwards."""

    name = "does"

    def __init__(self, act: Callable[[Call, Io], Any]) -> None:
        self.act = act

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
        done = self.act(call, io)
        if hasattr(done, "__await__"):
            await done
        return await forward(call)


class Plain:
    """A control that is right; the tests break one thing each."""

    name: Any = "plain"
    kind: Any = None
    needs: Any = ()

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
        return await forward(call)


@pytest.mark.parametrize(
    ("attribute", "value", "says"),
    [
        ("name", 7, "name must be a str"),
        ("kind", "filter", "kind must be one of"),
        ("kind", "mask", r"offers mask\(text\) and filter\(\)"),
        ("needs", ("shoe_size",), "needs may name"),
        ("guard", lambda call, forward, io: None, "must be an `async def`"),
    ],
)
def test_a_control_that_breaks_the_contract_is_refused_when_the_guard_is_made(
    attribute: str, value: Any, says: str
) -> None:
    control: Any = Plain()
    setattr(control, attribute, value)
    with pytest.raises(ConfigError, match=says):
        Guard(control)


def test_a_control_whose_guard_is_a_partial_is_as_good_as_any() -> None:
    async def with_word(word: str, call: Call, forward: Forward, io: Io, /) -> object:
        return await forward(call.with_text(f"{word} {call.message.text}"))

    class Partial:
        name = "partial"
        guard = staticmethod(functools.partial(with_word, "well,"))

    send = RecordingSend()
    Guard(Partial())(send)(TO, "hello")
    assert [sent.body for sent in send.calls] == ["well, hello"]


@pytest.mark.parametrize(
    ("options", "says"), [({"channel": ""}, "channel must be"), ({"direction": "sideways"}, "direction must be one of")]
)
def test_a_guard_with_an_impossible_channel_or_direction_is_a_config_error(options: Any, says: str) -> None:
    with pytest.raises(ConfigError, match=says):
        Guard(Look(), **options)


def test_check_takes_a_function_and_blocking_is_for_plain_ones() -> None:
    async def asks(message: Message) -> None: ...

    with pytest.raises(ConfigError, match="above a function"):
        check(int)  # type: ignore[arg-type]  # the mistake
    with pytest.raises(ConfigError, match="blocking=True is for plain functions"):
        check(blocking=True)(asks)


def test_g10_a_check_whose_answer_would_have_to_be_awaited_denies() -> None:
    async def answers() -> None: ...

    send = RecordingSend()
    with pytest.raises(ControlError, match="returned coroutine"):
        Guard(check(lambda message: answers()))(send)(TO, "hello")
    assert_never_sent(send)


def test_a_rewrite_that_changes_nothing_is_no_rewrite_on_record() -> None:
    record = Record()
    Guard(record, check(lambda message: Rewrite(message.text)))(RecordingSend())(TO, "hello")
    assert "rewrite" not in [note.verdict for note in record.sealed[0].verdicts]


@pytest.mark.parametrize(
    ("act", "says"),
    [
        (lambda call, io: call.with_text("one text"), "exactly one part"),
        (lambda call, io: call.note("maybe"), "the verdict must be one of"),
        (lambda call, io: io.ask(), "needs blocking="),
        (lambda call, io: io.ask(awaiting=on_asyncio), "needs blocking="),
    ],
)
def test_g10_wrong_words_to_the_call_or_its_io_deny(act: Callable[[Call, Io], Any], says: str) -> None:
    send = RecordingSend()
    guarded = Guard(Does(act))(text=("subject", "body"))(two_texts(send))
    with pytest.raises(ControlError, match=says):
        guarded(TO, "hello", "there")
    assert_never_sent(send)


def two_texts(send: RecordingSend) -> Callable[[str, str, str], Any]:
    def mail(to: str, subject: str, body: str) -> Any:
        return send(to, f"{subject} {body}")

    return mail


@LOOPS
def test_g10_an_io_that_is_asked_for_nothing_denies_on_every_loop(run: Run) -> None:
    send = RecordingSend(shape="async")
    guarded = Guard(Does(lambda call, io: io.ask()))(send)
    with pytest.raises(ControlError, match=r"needs blocking=\.\.\. or awaiting="):
        run(lambda: guarded(TO, "hello"))
    assert_never_sent(send)


@LOOPS
def test_io_asks_blocking_and_awaiting_clients_and_tells_the_time(run: Run) -> None:
    asked: list[str] = []

    async def awaiting() -> str:
        return "awaited"

    async def asks(call: Call, io: Io) -> None:
        begun = io.monotonic()
        await io.sleep(0.001)
        asked.append(await io.ask(awaiting=awaiting))
        asked.append(await io.ask(blocking=lambda: "blocked"))
        assert io.monotonic() >= begun

    guarded = Guard(Does(asks))(RecordingSend(shape="async"))
    run(lambda: guarded(TO, "hello"))
    assert asked == ["awaited", "blocked"]


def test_a_control_of_a_sync_send_may_sleep_within_its_deadline() -> None:
    async def sleeps(call: Call, io: Io) -> None:
        await io.sleep(0.001)

    send = RecordingSend()
    Guard(Does(sleeps))(send)(TO, "hello")
    assert [sent.body for sent in send.calls] == ["hello"]


def test_every_call_carries_the_id_that_joins_its_records() -> None:
    record = Record()
    seen: list[str] = []
    Guard(record, Does(lambda call, io: seen.append(call.send_id)))(RecordingSend())(TO, "hello")
    assert seen == [record.sealed[0].send_id]
    assert len(seen[0]) == 32
