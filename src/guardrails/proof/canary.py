"""
A round of canaries: planted values through every guarded send of a guard, with the leaf replaced, so that nothing is sent.

1. Through each send's own binding, all controls, and back: the planted values must be gone from what would have been sent,
   and from the reply; the record of it must be readable and chained to the record before.
2. Each limit by itself, twice under one name: the second must be refused. Each control that says what it refuses
   (`refuses`) must refuse that.
3. A control that cannot decide, or breaks its contract, is a failure of that control, and the others are tried without it.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from guardrails.core.rehearsal import Rehearsed, rehearse, staged
from guardrails.core.shapes import Shape
from guardrails.errors import Blocked, ConfigError, Denied, GuardrailsError
from guardrails.proof.evidence import evidence
from guardrails.proof.place import place
from guardrails.proof.planting import HARD, SENTENCES, Planted, plant, recipient, sentence, strings_in

if TYPE_CHECKING:
    from guardrails.core.guard import Guard
    from guardrails.core.plan import Plan
    from guardrails.core.stack import Slot

HELD: Final = "held"
FAILED: Final = "failed"
WATCHED: Final = "watches"  # a monitored control: it lets everything through
UNTRIED: Final = "not tried"
TENANT: Final = "canary"
_log: Final = logging.getLogger("guardrails")


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryCheck:
    """
    One thing that was tried.

    Args:
        control: The control; "binding" and "core" for what is ours.
        layer: "platform" or "team".
        send: `module:qualname` of the send that it was tried with.
        tried: What was tried, in a word: "mask", "reply", "record", "limit", "refuses" or "decides".
        result: "held", "failed", "watches" (it is monitored) or "not tried".
        why: What was found; types and classes, never a value.
        where: `file:line` of the control's code; empty for what is ours.
    """

    control: str
    layer: str
    send: str
    tried: str
    result: str
    why: str = ""
    where: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryReport:
    """
    One round.

    Args:
        at: When it began.
        seconds: How long it took.
        name: Names it in records.
        checks: What was tried.
    """

    at: datetime
    seconds: float
    name: str
    checks: Sequence[CanaryCheck]

    @property
    def passed(self) -> bool:
        """Whether nothing failed; what was not tried proves nothing."""
        return not self.failed

    @property
    def failed(self) -> list[CanaryCheck]:
        """What failed."""
        return [check for check in self.checks if check.result == FAILED]

    @property
    def controls(self) -> list[str]:
        """Names of the controls that failed, once each."""
        return list(dict.fromkeys(check.control for check in self.failed))

    def as_dict(self) -> dict[str, Any]:
        """For JSON."""
        return {
            "passed": self.passed,
            "at": self.at.isoformat(timespec="milliseconds"),
            "seconds": round(self.seconds, 4),
            "name": self.name,
            "checks": [
                {name: getattr(check, name) for name in ("control", "layer", "send", "tried", "result", "why", "where")}
                for check in self.checks
            ],
        }


@dataclass(slots=True)
class _Round:
    """What one round knows; `broken` puts other slots in the place of some, for a drill."""

    name: str
    types: Collection[str]
    tenant: str
    broken: Mapping[Slot, Slot] = field(default_factory=dict)
    checks: list[CanaryCheck] = field(default_factory=list)
    tried: set[int] = field(default_factory=set)  # controls that were tried by themselves

    def add(self, slot: Slot | None, plan: Plan, tried: str, result: str, why: str = "", *, named: str = "core") -> None:
        if slot is not None and slot.monitored and result in (FAILED, HELD):
            result = WATCHED
        self.checks.append(
            CanaryCheck(
                control=named if slot is None else slot.name,
                layer="platform" if slot is None else slot.layer,
                send=plan.operation,
                tried=tried,
                result=result,
                why=why,
                where="" if slot is None else place(slot.where),
            )
        )


def canary(
    guard: Guard, *, types: Collection[str] | None = None, tenant: str = TENANT, _broken: Mapping[Slot, Slot] | None = None
) -> CanaryReport:
    """
    Try every control of *guard*, through every send that it and the guards that extend it have decorated. Nothing is sent.

    Call it from a plain thread (`await asyncio.to_thread(canary, guard)`): it waits until the round is over. Async sends run
    on a loop of the round's own.

    Args:
        guard: Whose controls and sends. Without a decorated send, a message of its own is tried.
        types: Entity types to plant; None for those that the mask control says it can find.
        tenant: Tenant of the planted messages; where controls depend on the tenant, one of yours.

    Raises:
        ConfigError: *types* names what cannot be planted.
    """
    unknown = sorted(set(types or ()) - SENTENCES.keys())
    if unknown:
        raise ConfigError(f"canary(types=...): {unknown[0]!r} cannot be planted; there are {', '.join(SENTENCES)}")
    at, began = datetime.now(UTC), time.monotonic()
    this = _Round(f"canary-{secrets.token_hex(8)}", SENTENCES if types is None else types, tenant, _broken or {})
    plans = [plan for one in guard.family for plan in one.plans] or [_message_plan(guard)]
    for plan in plans:
        try:
            _try_send(plan, this)
            _try_alone(plan, this)
        except GuardrailsError as error:  # arguments that cannot be made up, controls that cannot be chosen
            this.add(None, plan, "decides", FAILED, _said(error), named=error.control or "binding")
    report = CanaryReport(at=at, seconds=time.monotonic() - began, name=this.name, checks=tuple(this.checks))
    if _broken is None:
        _tell(guard, plans, report)
    return report


def _message_plan(guard: Guard) -> Plan:
    return guard._message_plan(_never, Shape.SYNC, "auto")  # noqa: SLF001 - what `guard.run` would do


def _never(_message: object) -> str:
    return ""  # its place is taken by the leaf of the rehearsal


# -- all controls, through a send -------------------------------------------------------------------------------------


def _try_send(plan: Plan, this: _Round) -> None:
    slots = _chosen(plan, this).stack.slots
    planted, answered = (_findable(plant(this.types), slots, plan) for _ in range(2))
    for number in range(len(slots) + len(SENTENCES) + 1):
        name = f"{this.name}-{number}-{secrets.token_hex(4)}"
        stage = staged(plan, sentence(planted), recipient=recipient(plan.channel), tenant=this.tenant, conversation=name)
        done = rehearse(
            stage,
            name=name,
            reply=_pieces(sentence(answered)),
            route=[this.broken.get(slot, slot) for slot in slots],
            ids={"tenant": this.tenant, "conversation": name, "actor": "canary"},
        )
        if done.error is None:
            if not stage.is_bound:
                this.add(
                    None, plan, "binding", UNTRIED, "a bind= of your own: a message was bound in its place", named="binding"
                )
            _judge(plan, this, done, slots, planted, answered)
            return
        slot = _of_error(done.error, slots)
        if isinstance(done.error, Blocked) and slot is not None and slot.kind == "mask" and done.error.findings:
            blocked = done.error.findings.keys()
            rest = [one for one in planted if one.type not in blocked]
            if len(rest) < len(planted):
                # Refused by its operator is as good as gone. Refused by the seal, which stands behind it, is not.
                meant = blocked <= _by_operator(slot, "blocks", plan, otherwise=blocked)
                why = "refuses" if meant else "only the seal refused"
                this.add(slot, plan, "mask", HELD if meant else FAILED, f"{why} {', '.join(sorted(blocked))}")
                planted, answered = rest, [one for one in answered if one.type not in blocked]
                continue
        if slot is None:
            this.add(None, plan, "decides", FAILED, _said(done.error), named=getattr(done.error, "control", None) or "core")
            return
        refused = isinstance(done.error, Denied)
        this.add(slot, plan, "refuses" if refused else "decides", HELD if refused else FAILED, _said(done.error))
        slots = tuple(one for one in slots if one is not slot)


def _findable(planted: Iterable[Planted], slots: Iterable[Slot], plan: Plan) -> list[Planted]:
    """What the mask control among *slots* says that it looks for and does not keep."""
    mask = next((slot for slot in slots if slot.kind == "mask"), None)
    if mask is None:
        return list(planted)
    entities = getattr(mask.control, "entities", None)
    finds = set(HARD) if entities is None else set(entities)
    finds -= _by_operator(mask, "keeps", plan, otherwise=())
    return [one for one in planted if one.type in finds]


def _by_operator(slot: Slot, method: str, plan: Plan, *, otherwise: Iterable[str]) -> set[str]:
    """What the mask control says that it keeps, or blocks, in messages of *plan*."""
    ask = getattr(slot.control, method, None)
    return set(otherwise if ask is None else ask(plan.channel, plan.direction))


def _judge(
    plan: Plan,
    this: _Round,
    done: Rehearsed,
    slots: Sequence[Slot],
    planted: Sequence[Planted],
    answered: Sequence[Planted],
) -> None:
    mask = next((slot for slot in slots if slot.kind == "mask"), None)
    if mask is not None:
        left = _left(planted, strings_in(done.arrived)) if done.arrived is not None else []
        this.add(mask, plan, "mask", FAILED if left else HELD, f"let pass {', '.join(left)}" if left else _types(planted))
        if _masks_reply(plan):
            left = _left(answered, strings_in(done.reply))
            this.add(
                mask, plan, "reply", FAILED if left else HELD, f"let pass {', '.join(left)}" if left else _types(answered)
            )
    record = next((slot for slot in slots if slot.kind == "record"), None)
    if record is not None:
        problem = evidence(record.control, done.send_id)
        result = UNTRIED if problem is None else HELD if not problem else FAILED
        this.add(record, plan, "record", result, "its sink cannot be read from here" if problem is None else problem)
    for slot in slots:
        if slot.kind not in ("mask", "record") and id(slot.control) not in this.tried:
            this.add(slot, plan, "decides", HELD)


def _left(planted: Iterable[Planted], strings: Iterable[str]) -> list[str]:
    haystack = "\n".join(strings)
    return [one.type for one in planted if one.is_in(haystack)]


def _types(planted: Iterable[Planted]) -> str:
    return ", ".join(one.type for one in planted)


def _masks_reply(plan: Plan) -> bool:
    streams = plan.shape in (Shape.GENERATOR, Shape.ASYNC_GENERATOR)
    return plan.reply in ("mask", "restore") or (plan.reply == "auto" and (streams or plan.channel == "llm"))


def _pieces(text: str) -> list[str]:
    """*text* cut where it hurts."""
    return [text[at : at + 7] for at in range(0, len(text), 7)] or [""]


def _of_error(error: BaseException, slots: Iterable[Slot]) -> Slot | None:
    name = getattr(error, "control", None)
    return next((slot for slot in slots if slot.name == name), None)


def _said(error: BaseException) -> str:
    """Our own errors hold no text of a message; of any other only the class is told."""
    return f"{type(error).__name__}: {error}" if isinstance(error, GuardrailsError) else type(error).__name__


# -- each control by itself -------------------------------------------------------------------------------------------


def _try_alone(plan: Plan, this: _Round) -> None:
    for slot in _chosen(plan, this).stack.slots:
        if id(slot.control) in this.tried:
            continue
        this.tried.add(id(slot.control))
        if slot.kind == "limit":
            _try_limit(plan, this, slot)
        elif texts := _refusable(slot):
            _try_refusal(plan, this, slot, texts)
        elif slot.kind is None:
            this.add(slot, plan, "refuses", UNTRIED, "it does not say what it refuses: @check(refuses=[...])")


def _chosen(plan: Plan, this: _Round) -> Plan:
    return staged(plan, "canary", recipient=recipient(plan.channel), tenant=this.tenant, conversation=this.name).plan


def _refusable(slot: Slot) -> Sequence[str]:
    texts = getattr(slot.control, "refuses", ())
    return (texts,) if isinstance(texts, str) else tuple(texts)


def _alone(plan: Plan, this: _Round, slot: Slot, text: str, name: str, to: str) -> Rehearsed:
    return rehearse(
        staged(plan, text, recipient=to, tenant=this.tenant, conversation=name),
        name=name,
        route=[this.broken.get(slot, slot)],
        ids={"tenant": this.tenant, "conversation": name, "actor": "canary"},
    )


def _try_limit(plan: Plan, this: _Round, slot: Slot) -> None:
    rehearsals: int | None = getattr(slot.control, "refuses_rehearsal", None)
    if rehearsals is None:
        this.add(slot, plan, "limit", UNTRIED, "it does not say which rehearsal it refuses")
        return
    for _ in range(2):  # a window that ends between two rehearsals is no failure; twice in a row is
        name, to = f"{this.name}-{secrets.token_hex(4)}", recipient(plan.channel)
        for _number in range(rehearsals):
            done = _alone(plan, this, slot, "This is a test of the guardrails.", name, to)
            if done.error is not None:
                break
        if done.error is not None:
            break
    refused = isinstance(done.error, Denied)
    why = "" if refused else "admitted everything" if done.error is None else _said(done.error)
    this.add(slot, plan, "limit", HELD if refused else FAILED, why)


def _try_refusal(plan: Plan, this: _Round, slot: Slot, texts: Sequence[str]) -> None:
    for number, text in enumerate(texts, 1):
        done = _alone(plan, this, slot, text, f"{this.name}-{number}", recipient(plan.channel))
        refused = isinstance(done.error, Denied)
        why = "" if refused else f"let example {number} pass" if done.error is None else _said(done.error)
        this.add(slot, plan, "refuses", HELD if refused else FAILED, why)


# -- telling ----------------------------------------------------------------------------------------------------------


def _tell(guard: Guard, plans: Sequence[Plan], report: CanaryReport) -> None:
    every = guard.canary_every_seconds
    guard.pulse.tell_canary(
        passed=report.passed,
        at=report.at.isoformat(timespec="milliseconds"),
        checks=len(report.checks),
        failed=", ".join(report.controls),
        **({} if every is None else {"every_seconds": every}),
    )
    for failure in report.failed:
        _log.error(
            "guardrails: the canary failed: %s (%s) of %s: %s", failure.control, failure.tried, failure.send, failure.why
        )
    for control in _records(plans):
        note = getattr(control, "note_canary", None)
        if note is not None:
            try:
                note(report.name, passed=report.passed, checks=len(report.checks), failed=report.controls)
            except GuardrailsError as error:
                _log.error("guardrails: the canary could not be recorded: %s", type(error).__name__)


def _records(plans: Iterable[Plan]) -> Iterator[Any]:
    known: dict[int, Any] = {}
    for plan in plans:
        slot = plan.stack.record
        if slot is not None:
            known.setdefault(id(slot.control), slot.control)
    yield from known.values()
