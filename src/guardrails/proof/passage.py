"""Planted values through all controls of a send, and back: are they gone, and is the record of it there?"""

from __future__ import annotations

import secrets
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from guardrails.core.rehearsal import Rehearsed, rehearse, staged
from guardrails.core.shapes import Shape
from guardrails.errors import Blocked, Denied
from guardrails.proof.evidence import evidence
from guardrails.proof.planting import HARD, Planted, plant, recipient, sentence, strings_in
from guardrails.proof.plants import PLANTS
from guardrails.proof.round import FAILED, HELD, UNTRIED, Round, said
from guardrails.proof.trials import chosen

if TYPE_CHECKING:
    from guardrails.core.plan import Plan
    from guardrails.core.stack import Slot


def try_send(plan: Plan, this: Round) -> None:
    """All controls of *plan*, through its own binding and back."""
    slots = chosen(plan, this).stack.slots
    _say_unplanted(plan, this, slots)
    planted, answered = (_findable(plant(this.types), slots, plan) for _ in range(2))
    for number in range(len(slots) + len(PLANTS) + 1):
        name = f"{this.name}-{number}-{secrets.token_hex(4)}"
        stage = staged(
            plan, sentence(planted), recipient=recipient(plan.channel, planted), tenant=this.tenant, conversation=name
        )
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
            this.add(None, plan, "decides", FAILED, said(done.error), named=getattr(done.error, "control", None) or "core")
            return
        refused = isinstance(done.error, Denied)
        this.add(slot, plan, "refuses" if refused else "decides", HELD if refused else FAILED, said(done.error))
        slots = tuple(one for one in slots if one is not slot)


def _say_unplanted(plan: Plan, this: Round, slots: Iterable[Slot]) -> None:
    """What a mask control looks for, and no canary can plant; once a round, unless the types were chosen by name."""
    for slot in slots:
        entities = getattr(slot.control, "entities", None)
        if slot.kind != "mask" or entities is None or this.types is not PLANTS or id(slot.control) in this.planted:
            continue
        this.planted.add(id(slot.control))
        unplanted = set(entities) - PLANTS.keys() - _by_operator(slot, "keeps", plan, otherwise=())
        if unplanted:
            this.add(slot, plan, "plants", UNTRIED, f"not planted: {', '.join(sorted(unplanted))}")


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
    this: Round,
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
        found = evidence(record.control, done.send_id)
        result = FAILED if found.problem else HELD if found.read else UNTRIED
        this.add(record, plan, "record", result, found.why)
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
