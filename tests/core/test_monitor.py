# ruff: noqa: ARG002 - controls take what the contract gives them
"""`monitor`: a control that watches changes nothing, whatever it does, and what it would have done is on the record."""

from __future__ import annotations

import contextlib
import threading

import pytest

from guardrails.core.call import Call
from guardrails.core.checks import check, monitor
from guardrails.core.control import Forward, Io
from guardrails.core.guard import Guard
from guardrails.core.message import Message
from guardrails.core.stream import Stream
from guardrails.core.verdict import Deny, Finding
from guardrails.errors import ConfigError, ControlError, Deferred, Denied, GuardrailsError, RateLimited, Unavailable
from guardrails.testing import RecordingSend
from tests.core.doubles import SECRET, Answer, Change, Filter, Hide, Look, Raise, Record
from tests.core.ways import TO, WAYS, Way

FUNCTIONS = [way for way in WAYS if way.kind == "function"]


class Does:
    """Does what it is told around `forward`."""

    def __init__(self, what: str) -> None:
        self.what = what

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:  # noqa: C901 - a list of misdeeds
        match self.what:
            case "rewrites":
                return await forward(call.with_text("rewritten"))
            case "replies":
                return "another reply"
            case "replies later":
                await forward(call)
                return "another reply"
            case "replies a stream":
                await forward(call)
                return Stream(iter(["x"]))
            case "nothing":
                return None
            case "nothing later":
                await forward(call)
                return None
            case "twice":
                await forward(call)
                return await forward(call)
            case "swallows twice":
                with contextlib.suppress(GuardrailsError):
                    await forward(call)
                with contextlib.suppress(GuardrailsError):
                    await forward(call)
                return "?"
            case "forged":
                return await forward(None)  # type: ignore[arg-type]  # what is tested
            case "forgets":
                return forward(call)
            case "crashes later":
                await forward(call)
                raise ValueError("secret")
            case "denies later":
                await forward(call)
                raise Denied("secret")
            case "thread":

                def work() -> None:
                    with contextlib.suppress(BaseException):
                        forward(call).send(None)

                thread = threading.Thread(target=work)
                thread.start()
                thread.join()
                return None
            case _:
                raise AssertionError(self.what)


DOINGS = [
    "rewrites",
    "replies",
    "replies later",
    "replies a stream",
    "nothing",
    "nothing later",
    "twice",
    "swallows twice",
    "forged",
    "forgets",
    "crashes later",
    "denies later",
    "thread",
]


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
@pytest.mark.parametrize("what", DOINGS)
def test_a_monitored_control_changes_nothing_whatever_it_does(way: Way, what: str) -> None:
    record, send = Record(), way.send()
    guard = Guard(record, monitor(Does(what)), Look(), channel="sms")
    assert way.deliver(guard, send) == "sent"
    assert send.calls == [(TO, "hello")]
    assert record.intents == ["hello"]
    assert record.results == ["sent"]
    assert record.refusals == []


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
@pytest.mark.parametrize(
    ("error", "verdict"),
    [
        (Denied("no"), "shadow_deny"),
        (RateLimited("no"), "shadow_deny"),
        (Deferred("no"), "shadow_deny"),
        (Unavailable("no"), "shadow_error"),
        (ControlError("no"), "shadow_error"),
        (ValueError("secret"), "shadow_error"),
        (StopIteration("secret"), "shadow_error"),
    ],
    ids=repr,
)
def test_what_a_monitored_control_would_have_refused_is_noted(way: Way, error: Exception, verdict: str) -> None:
    record, send = Record(), way.send()
    assert way.deliver(Guard(record, monitor(Raise(error)), channel="sms"), send) == "sent"
    assert send.calls == [(TO, "hello")]
    notes = [(note.control, note.verdict, note.monitored) for note in record.sealed[0].verdicts]
    assert notes == [("Raise", verdict, True)]


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
def test_what_a_monitored_control_would_have_rewritten_is_noted(way: Way) -> None:
    record, send, inside = Record(), way.send(), Look()
    assert way.deliver(Guard(record, monitor(Change(str.upper)), inside, channel="sms"), send) == "sent"
    assert inside.last.text == "hello"
    first = record.sealed[0].verdicts[0]
    assert (first.control, first.verdict) == ("Change", "rewrite")


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
def test_g2_a_refusal_inside_a_monitored_control_still_refuses(way: Way) -> None:
    for what in ("swallows twice", "replies later", "crashes later", "nothing later"):
        record, send = Record(), way.send()
        with pytest.raises(Denied) as caught:
            way.deliver(Guard(record, monitor(Does(what)), Raise(Denied("no")), channel="sms"), send)
        assert caught.value.control == "Raise"
        assert send.calls == []
        assert record.intents == []


@pytest.mark.parametrize("error", [KeyboardInterrupt(), SystemExit(1)], ids=repr)
def test_a_monitored_control_that_ends_the_program_ends_it(error: BaseException) -> None:
    send = RecordingSend()
    with pytest.raises(type(error)):
        Guard(monitor(Raise(error)), channel="sms")(send)(TO, "hello")
    assert send.calls == []


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
def test_a_filter_of_a_monitored_control_is_not_applied(way: Way) -> None:
    class Loud:
        def feed(self, chunk: str, /) -> str:
            return chunk.upper()

        def flush(self) -> str:
            return "!"

    assert way.deliver(Guard(monitor(Filter(Loud)), channel="sms"), way.send()) == "sent"


# -- under monitor(mask) only the payload is raw ----------------------------------------------------------------------------


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
def test_under_a_monitored_mask_only_the_payload_is_raw(way: Way) -> None:
    record, inside, send = Record(), Look(), way.send()
    guard = Guard(record, monitor(Hide()), inside, channel="sms").extend(team := Look())
    assert way.deliver(guard, send, body="my secret word") == "sent"
    assert send.calls == [(TO, "my secret word")]
    assert inside.last.text == team.last.text == f"my {SECRET} word"
    assert record.intents == [f"my {SECRET} word"]
    assert record.sealed[0].findings["body"][0].type == "SECRET"
    assert "secret" not in repr(record.sealed[0].verdicts)


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
def test_under_a_monitored_mask_a_part_that_was_rewritten_goes_out_as_rewritten(way: Way) -> None:
    record, send = Record(), way.send()
    guard = Guard(record, monitor(Hide()), channel="sms").extend(Change(lambda text: text + " bye"))
    way.deliver(guard, send, body="my secret")
    assert send.calls == [(TO, f"my {SECRET} bye")]
    assert record.intents == [f"my {SECRET} bye"]


class Breaks(Hide):
    """A mask that fails before, or after it forwards."""

    def __init__(self, when: str) -> None:
        self.when = when

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
        if self.when == "crashes":
            raise ValueError("secret")
        if self.when == "denies":
            raise Denied("secret")
        if self.when == "replies":
            return "?"
        if self.when == "forwards raw":
            return await forward(call)
        await super().guard(call, forward, io)
        raise ValueError("secret")


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
@pytest.mark.parametrize("when", ["crashes", "denies", "replies", "later"])
def test_g3_a_monitored_mask_that_fails_shows_the_others_nothing(way: Way, when: str) -> None:
    record, inside, send = Record(), Look(), way.send()
    assert way.deliver(Guard(record, monitor(Breaks(when)), inside, channel="sms"), send, body="my secret") == "sent"
    assert send.calls == [(TO, "my secret")]
    assert "secret" not in inside.last.text
    assert all("secret" not in text for text in record.intents)
    assert record.results == ["sent"]


class BrokenMask(Hide):
    """Its `mask` raises, as a model that is gone does."""

    def mask(self, text: str, /) -> tuple[str, list[Finding]]:
        raise ValueError(text)


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
def test_g3_a_monitored_mask_whose_detector_fails_shows_the_others_nothing(way: Way) -> None:
    record, inside, send = Record(), Look(), way.send()
    guard = Guard(record, monitor(BrokenMask()), inside, channel="sms").extend(Change(lambda text: text + "!"))
    with contextlib.suppress(GuardrailsError):
        way.deliver(guard, send, body="my secret")
    assert all("secret" not in message.text for message in inside.messages)
    assert all("secret" not in text for text in record.intents)


def test_a_monitored_reply_of_a_model_passes_as_it_is() -> None:
    send = RecordingSend(reply="the secret answer")
    assert Guard(monitor(Hide()), channel="llm")(send)(TO, "x") == "the secret answer"
    assert Guard(Hide(), channel="llm")(send)(TO, "x") == f"the {SECRET} answer"


def test_monitor_wants_one_control() -> None:
    with pytest.raises(ConfigError):
        monitor(monitor(Look()))  # type: ignore[arg-type]  # what is tested
    with pytest.raises(ConfigError, match="cannot be monitored"):
        Guard(monitor(Record()), channel="sms")
    with pytest.raises(ConfigError):
        Guard(monitor(Answer), channel="sms")  # type: ignore[arg-type]  # the class, not an object


def test_a_monitored_control_needs_no_role() -> None:
    class Needs(Look):
        needs = ("conversation",)

    send = RecordingSend()
    assert Guard(monitor(Needs()), channel="sms")(send)(TO, "x") == "sent"


@pytest.mark.parametrize("way", FUNCTIONS, ids=str)
def test_monitored_and_enforced_checks_stand_side_by_side(way: Way) -> None:
    @check
    def strict(message: Message) -> Deny | None:
        return Deny("no") if "bad" in message.text else None

    @check
    def trial(message: Message) -> Deny:
        return Deny("always")

    guard = Guard(monitor(trial), strict, channel="sms")
    send = way.send()
    assert way.deliver(guard, send) == "sent"
    with pytest.raises(Denied) as caught:
        way.deliver(guard, send, body="bad")
    assert caught.value.control == "strict"
    assert len(send.calls) == 1
