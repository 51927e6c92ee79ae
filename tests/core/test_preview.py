# ruff: noqa: ARG002 - controls take what the contract gives them
"""`preview`: what would happen, and nothing happens."""

from __future__ import annotations

import contextlib
from typing import Any

import pytest

from guardrails.audit import AuditLog
from guardrails.core.call import Call
from guardrails.core.checks import check, monitor
from guardrails.core.control import Forward, Io
from guardrails.core.guard import Guard
from guardrails.core.message import Message
from guardrails.core.preview import Decision
from guardrails.core.verdict import Deny
from guardrails.errors import ConfigError, ControlError, Denied, RateLimited
from guardrails.keys import Keys
from guardrails.pii import MaskPII
from guardrails.ratelimit import RateLimit
from guardrails.testing import CapturingSink, RecordingSend, assert_never_sent
from tests.conftest import LOOPS
from tests.core.doubles import SECRET, Answer, Change, Hide, Look, Raise, Record
from tests.core.ways import TO


class Asks:
    """Previews here, or on a loop."""

    def __init__(self, loop: str) -> None:
        self.loop = loop

    def __call__(self, guard: Guard, message: Any, **envelope: Any) -> Decision:
        if self.loop == "here":
            return guard.preview(message, **envelope)

        async def main() -> Decision:
            return await guard.apreview(message, **envelope)

        decision = LOOPS[self.loop](main)
        assert isinstance(decision, Decision)
        return decision


@pytest.fixture(params=["here", *LOOPS])
def ask(request: pytest.FixtureRequest) -> Asks:
    return Asks(request.param)


def test_a_preview_says_what_would_go_out(ask: Asks) -> None:
    guard = Guard(Record(), Hide(), channel="sms").extend(Change(lambda text: text + " my secrets"))
    decision = ask(guard, "a secret", recipient=TO)
    assert decision.allowed
    assert decision.text == f"a {SECRET} my {SECRET}"
    assert [finding.type for finding in decision.findings["text"]] == ["SECRET", "SECRET"]
    assert decision.refusal is None
    assert decision.retry_after is None
    assert list(decision.not_evaluated) == []
    assert "secret" not in repr(decision)


def test_a_preview_says_what_would_be_refused(ask: Asks) -> None:
    decision = ask(Guard(Record(), Raise(Denied("no")), Hide(), channel="sms"), "x")
    assert not decision.allowed
    assert decision.text is None
    assert isinstance(decision.refusal, Denied)
    assert decision.refusal.control == "Raise"
    assert decision.refusal.__traceback__ is None
    assert [(note.control, note.verdict) for note in decision.verdicts] == [("Raise", "deny")]


def test_a_preview_says_what_would_crash(ask: Asks) -> None:
    decision = ask(Guard(Raise(ValueError("secret")), channel="sms"), "x")
    assert isinstance(decision.refusal, ControlError)
    assert "secret" not in str(decision.refusal)


def test_g6_a_preview_consumes_nothing(ask: Asks) -> None:
    guard = Guard(Record(), RateLimit("1/hour", per="recipient"), channel="sms")
    for _ in range(5):
        assert ask(guard, "x", recipient=TO).allowed
    send = RecordingSend()
    assert guard(send)(TO, "x") == "sent"
    decision = ask(guard, "x", recipient=TO)
    assert not decision.allowed
    assert isinstance(decision.refusal, RateLimited)
    assert decision.retry_after is not None
    assert 0 < decision.retry_after <= 3600


def test_g1_a_preview_records_nothing(ask: Asks) -> None:
    sink = CapturingSink()
    guard = Guard(AuditLog(sink, keys=Keys(b"k" * 32)), RateLimit("5/hour"), channel="sms")
    ask(guard, "x")
    ask(guard.extend(Raise(Denied("no"))), "x")
    ask(guard.extend(Answer("cached")), "x")
    guard.close()
    assert not any(line["stage"] in ("intent", "outcome", "decision") for line in sink.records)


def test_a_preview_commits_and_settles_no_step(ask: Asks) -> None:
    record = Record()
    ask(Guard(record, channel="sms"), "x")
    assert not record.intents
    assert not record.outcomes
    assert record.undone == 0


def test_a_control_whose_role_is_missing_is_not_evaluated(ask: Asks) -> None:
    guard = Guard(Record(), RateLimit("1/hour", per=("recipient", "conversation")), Look(), channel="sms")
    decision = ask(guard, "x")
    assert decision.allowed
    assert list(decision.not_evaluated) == ["rate_limit"]
    assert list(ask(guard, "x", recipient=TO).not_evaluated) == ["rate_limit"]
    assert list(ask(guard, "x", recipient=TO, conversation="c1").not_evaluated) == []


def test_a_preview_is_known_to_controls(ask: Asks) -> None:
    seen: list[bool] = []

    class Knows:
        async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
            seen.append(call.dry_run)
            return await forward(call)

    guard = Guard(Knows(), channel="sms")
    ask(guard, "x")
    guard(RecordingSend())(TO, "x")
    assert seen == [True, False]


def test_a_control_that_replies_is_previewed_as_no_send(ask: Asks) -> None:
    decision = ask(Guard(Answer("cached"), channel="sms"), "x")
    assert decision.text is None
    assert decision.refusal is None


def test_a_preview_under_a_monitored_mask_shows_findings(ask: Asks) -> None:
    decision = ask(Guard(monitor(Hide()), channel="sms"), "my secret")
    assert decision.allowed
    assert decision.text == "my secret"
    assert len(decision.findings["text"]) == 1


def test_a_whole_message_is_previewed(ask: Asks) -> None:
    message = Message({"subject": "a secret", "body": "none"}, channel="email", recipients=["a@example.com"])
    decision = ask(Guard(Hide(), channel="email"), message)
    assert decision.text == f"a {SECRET}\nnone"
    assert list(decision.findings) == ["subject"]
    with pytest.raises(ConfigError, match="no envelope"):
        ask(Guard(channel="sms"), message, recipient=TO)


def test_an_unknown_envelope_is_a_config_error(ask: Asks) -> None:
    with pytest.raises(ConfigError, match="recipients"):
        ask(Guard(channel="sms"), "x", recipients=[TO])


@pytest.mark.parametrize("loop", LOOPS)
def test_a_control_that_needs_a_loop_is_previewed_with_apreview(loop: str) -> None:
    @check
    async def refuses(message: Message) -> Deny:
        return Deny("no")

    guard = Guard(refuses, channel="sms")
    with pytest.raises(ConfigError, match="apreview"):
        guard.preview("x")
    assert not Asks(loop)(guard, "x").allowed


def test_a_program_that_ends_during_a_preview_ends(ask: Asks) -> None:
    with pytest.raises(BaseException) as caught:  # noqa: PT011 - trio may wrap it
        ask(Guard(Raise(SystemExit(3)), channel="sms"), "x")
    assert isinstance(caught.value, SystemExit | BaseExceptionGroup)


def test_the_real_mask_previews_what_it_would_send(ask: Asks) -> None:
    guard = Guard(Record(), RateLimit("1/hour", per="recipient"), MaskPII(names="off"), channel="sms")
    decision = ask(guard, "call me on +1 212 555 0173", recipient=TO)
    assert decision.allowed
    assert decision.text == "call me on <PHONE_NUMBER>"
    assert [finding.type for finding in decision.findings["text"]] == ["PHONE_NUMBER"]


def test_g2_a_call_kept_from_a_preview_cannot_be_sent(ask: Asks) -> None:
    kept: list[Call] = []

    class Keeps:
        async def guard(self, call: Call, forward: Forward, io: Io, /) -> object:
            kept.append(call)
            return await forward(kept[0])

    guard, send = Guard(Keeps(), channel="sms"), RecordingSend()
    ask(guard, "x")
    with contextlib.suppress(ControlError):
        guard(send)(TO, "x")
    assert_never_sent(send)
