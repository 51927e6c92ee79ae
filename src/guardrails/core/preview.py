"""What would happen to a message, without sending, recording or consuming anything."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from guardrails.core import drive
from guardrails.core.call import make_call
from guardrails.core.guarded import raise_clean
from guardrails.core.journey import Journey
from guardrails.core.message import Message
from guardrails.core.onion import enter
from guardrails.core.stack import PLATFORM
from guardrails.core.verdict import Finding, Note
from guardrails.errors import ConfigError, GuardrailsError, RateLimited, Unavailable

if TYPE_CHECKING:
    from guardrails.core.plan import Plan

_ENVELOPE: Final = ("recipient", "sender", "conversation", "tenant", "actor", "channel", "direction", "at")


@dataclass(frozen=True, slots=True)
class Decision:
    """
    What would happen.

    Args:
        allowed: Whether it would be sent.
        text: The text that would go out; None when it would not.
        findings: What was found, by part; types and places, never text.
        verdicts: What each control said, in order.
        retry_after: Seconds, when a limit refused and knows.
        not_evaluated: Controls that could not be asked, for want of a role.
        refusal: What the send would raise; None when it would go out.
    """

    allowed: bool
    text: str | None
    findings: Mapping[str, Sequence[Finding]]
    verdicts: Sequence[Note]
    retry_after: float | None
    not_evaluated: Sequence[str]
    refusal: GuardrailsError | None

    def __repr__(self) -> str:
        total = sum(map(len, self.findings.values()))
        return f"Decision(allowed={self.allowed}, {total} findings, not_evaluated={list(self.not_evaluated)})"


def preview(plan: Plan, message: str | Message, envelope: Mapping[str, Any]) -> Decision:
    """Ask every control, in the caller's thread."""
    for slot in plan.stack.slots:
        if slot.async_only:
            raise ConfigError(f"{slot.name} needs an event loop; use `await guard.apreview(...)`")
    journey = _journey(plan, message, envelope, awaits=False)
    failure: BaseException | None = None
    try:
        drive.step(_ask(journey), journey)
    except BaseException as error:  # noqa: BLE001 - told apart below
        failure = error
    return _decision(journey, failure)


async def apreview(plan: Plan, message: str | Message, envelope: Mapping[str, Any]) -> Decision:
    """Ask every control, in the caller's task."""
    journey = _journey(plan, message, envelope, awaits=True)
    failure: BaseException | None = None
    try:
        await drive.Watched(_ask(journey), journey, arms=type(journey.io) is drive.AsyncioIo)
    except BaseException as error:  # noqa: BLE001 - told apart below
        failure = error
    return _decision(journey, failure)


def _journey(plan: Plan, message: str | Message, envelope: Mapping[str, Any], *, awaits: bool) -> Journey:
    at: datetime | None = None
    if isinstance(message, str):
        unknown = sorted(set(envelope) - set(_ENVELOPE))
        if unknown:
            raise ConfigError(f"preview does not know {', '.join(unknown)}; there are {', '.join(_ENVELOPE)}")
        given = dict(envelope)
        at = given.pop("at", None)
        if at is not None and (not isinstance(at, datetime) or at.tzinfo is None):
            raise ConfigError("preview(at=...) is a datetime with its time zone")
        recipient = given.pop("recipient", None)
        given.setdefault("channel", plan.channel)
        given.setdefault("direction", plan.direction)
        message = Message(message, recipients=() if recipient is None else recipient, **given)
    elif not isinstance(message, Message):
        raise ConfigError(f"preview takes a str or a Message, not {type(message).__name__}")
    elif envelope:
        raise ConfigError("preview(Message) takes no envelope: it is in the message")
    journey = Journey(plan, (message,), {})
    journey.dry_run = True
    journey.io = drive.io_for(journey, awaits=awaits)
    journey.told_now = None if at is None else at.astimezone(UTC)
    journey.here = journey.io.here
    journey.home = journey.here()
    return journey


async def _ask(journey: Journey) -> None:
    plan = journey.plan
    plan.ready(opening=False)  # nothing is recorded, so no file has to be there
    reading = journey.reading = plan.binding.read(journey.args, journey.kwargs)
    message = reading.message
    if plan.choice is not None:
        plan = journey.follow(plan.chosen(message))
    missing = {
        role for role, _ in plan.required if not (message.recipients if role == "recipient" else getattr(message, role))
    }
    left_out = [slot for slot in plan.stack.slots if missing.intersection(slot.needs)]
    journey.not_evaluated = tuple(slot.name for slot in left_out)
    journey.route = tuple(slot for slot in plan.stack.slots if slot not in left_out)
    await enter(journey, 0, make_call(message, PLATFORM, journey))


def _decision(journey: Journey, failure: BaseException | None) -> Decision:
    if journey.refusal is not None:  # the seal's: whatever a control made of it
        failure = journey.refusal
    refusal = failure if isinstance(failure, GuardrailsError) else None
    if failure is not None and (refusal is None or (isinstance(refusal, Unavailable) and refusal.control == "guard")):
        journey.forget()
        raise_clean(failure)
    decision = Decision(
        allowed=failure is None,
        text=journey.payload.text if failure is None and journey.payload is not None else None,
        findings=journey.findings,
        verdicts=journey.verdicts(),
        retry_after=refusal.retry_after if isinstance(refusal, RateLimited) else None,
        not_evaluated=journey.not_evaluated,
        refusal=_bare(refusal),
    )
    journey.forget()
    return decision


def _bare(refusal: GuardrailsError | None) -> GuardrailsError | None:
    if refusal is not None:
        refusal.__traceback__ = refusal.__cause__ = refusal.__context__ = None
    return refusal
