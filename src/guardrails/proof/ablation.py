"""
Which controls matter: each is left out in turn, and what would then have got through is counted.

A corpus runs through a guard in rehearsals: nothing is sent. What counts is judged apart, by a replay, where the messages have
times (`replay`). For each message and each control there are three runs: with everything, without the control, and the
control alone, on the raw message. What only changes without the control, the control alone has caught.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from guardrails.core.message import Message
from guardrails.core.rehearsal import Rehearsed, Staged, rehearse
from guardrails.core.shapes import Shape
from guardrails.errors import Denied, GuardrailsError
from guardrails.proof.corpus import NOBODY, Specimen
from guardrails.proof.judged import Judged, Overlap
from guardrails.proof.place import place
from guardrails.proof.replay import Asked, replayed

if TYPE_CHECKING:
    from guardrails.core.call import Call
    from guardrails.core.control import Forward, Io, Reply
    from guardrails.core.guard import Guard
    from guardrails.core.plan import Plan
    from guardrails.core.stack import Slot

__all__ = ["Judged", "Overlap", "Specimen", "overlap"]


def overlap(guard: Guard, corpus: Iterable[Specimen]) -> Overlap:
    """
    Leave each control of *guard* out in turn, for each message of *corpus*.

    Args:
        guard: A team guard shows how its controls stand to the platform's; a platform guard, how they stand to each other.
        corpus: Messages as they are before any control.
    """
    plan = guard._message_plan(_never, Shape.SYNC, "pass")  # noqa: SLF001 - what `guard.run` would do
    judged: dict[int, Judged] = {}
    unjudged: dict[str, str] = {}
    owners: dict[int, str | None] = {}
    asked: list[Asked] = []
    for specimen in corpus:
        stage = _staged(plan, specimen)
        slots = stage.plan.stack.slots
        asked.append(Asked(specimen, stage.arguments[0][0], slots))
        now = None if specimen.at is None else datetime.fromtimestamp(specimen.at, UTC)
        whole = _run(stage, slots, now)
        types = _types(slots, specimen.text)
        for slot in slots:
            if slot.kind == "record":
                unjudged[slot.name] = "it catches nothing, and without it nothing is known of anything"
            elif slot.kind == "limit":
                if id(slot.control) not in owners:
                    owners[id(slot.control)] = _entry(guard, slot).owner
            else:
                one = judged.setdefault(id(slot.control), _entry(guard, slot))
                _judge(one, slot, stage, whole, types, now)
    limits, unreplayed = replayed(asked, channel=plan.channel, owners=owners)
    found = (*judged.items(), *limits.items())
    for key, one in found:
        one.tenants = _tenants(key, asked)
    return Overlap(place(guard.where), guard.owner, len(asked), tuple(one for _, one in found), unjudged | unreplayed)


def _tenants(control: int, asked: Sequence[Asked]) -> Sequence[str]:
    """The tenants of those messages for which a control holds; none, if those are all."""
    own = {one.specimen.tenant for one in asked if any(id(slot.control) == control for slot in one.slots)}
    return () if own == {one.specimen.tenant for one in asked} else sorted(own)


def _entry(guard: Guard, slot: Slot) -> Judged:
    line: Guard | None = guard
    owner = guard.owner
    while line is not None:  # the guard in whose own layer it stands
        if any(slot.control is own.control for own in line.own):
            owner = line.owner
        line = line.parent
    return Judged(slot.name, slot.layer, slot.kind or "check", place(slot.where), owner)


class _Run:
    """What one run came to."""

    def __init__(self, done: Rehearsed, seconds: Mapping[str, float]) -> None:
        arrived = done.arrived
        message = arrived[0][0] if arrived is not None else None
        self.text: str | None = message.text if isinstance(message, Message) else None
        self.error = done.error
        self.seconds = seconds

    @property
    def outcome(self) -> object:
        """What a provider would have got: a text, or nothing."""
        return self.text if self.error is None else None

    @property
    def failed_in(self) -> str | None:
        """The control that could not decide."""
        error = self.error
        return error.control if isinstance(error, GuardrailsError) and not isinstance(error, Denied) else None


def _judge(one: Judged, slot: Slot, stage: Staged, whole: _Run, types: Iterable[str], now: datetime | None) -> None:
    slots = stage.plan.stack.slots
    alone = _run(stage, [slot], now)
    text = stage.arguments[0][0].text
    fired = alone.outcome != text and alone.failed_in is None
    if slot.name in whole.seconds:
        one.seconds.append(whole.seconds[slot.name])
    if alone.failed_in is not None or whole.failed_in == slot.name:
        one.failed += 1
        return
    without = _run(stage, [other for other in slots if other is not slot], now)
    only = without.outcome != whole.outcome
    acted = isinstance(whole.error, Denied) and whole.error.control == slot.name
    one.fired += fired
    one.acted += acted or only
    one.only += only
    if fired and not only and slot.layer == "team":
        platform = _run(stage, [other for other in slots if other.layer == "platform"], now)
        one.by_platform += platform.outcome == whole.outcome or platform.outcome != text
    elif fired and not only:
        one.by_platform += 1
    if fired or only:
        for kind in types:
            before = one.types.get(kind, (0, 0))
            one.types[kind] = (before[0] + fired, before[1] + only)


def _staged(plan: Plan, specimen: Specimen) -> Staged:
    message = Message(
        specimen.text,
        channel=plan.channel,
        direction=plan.direction,
        recipients=specimen.recipient or NOBODY,
        tenant=specimen.tenant,
        conversation=specimen.conversation or "canary",
        sender=specimen.sender,
        actor=specimen.actor,
    )
    chosen = plan if plan.choice is None else plan.chosen(message)
    return Staged(chosen, ((message,), {}), is_bound=True)


def _run(stage: Staged, slots: Sequence[Slot], now: datetime | None) -> _Run:
    seconds: dict[str, float] = {}
    # Limits and the log stay out: they are not judged, and their answers would hide the others'. A mask cannot be wrapped
    # (core knows it by its slot): its time is what is left over.
    kept = [slot for slot in slots if slot.kind not in ("record", "limit")]
    route = [slot if slot.kind == "mask" else replace(slot, guard=_timed(slot, seconds)) for slot in kept]
    began = time.perf_counter()
    done = rehearse(
        stage,
        name=f"canary-overlap-{secrets.token_hex(6)}",
        route=route,
        ids={"actor": "canary"},
        now=now,
    )
    took = time.perf_counter() - began
    for slot in kept:
        if slot.kind == "mask":
            seconds[slot.name] = max(0.0, took - sum(seconds.values()))
    return _Run(done, seconds)


def _timed(slot: Slot, seconds: dict[str, float]) -> Any:
    async def guard(call: Call, forward: Forward, io: Io, /) -> Reply:
        inside = 0.0

        async def timed_forward(call: Call, /) -> Any:
            nonlocal inside
            began = time.perf_counter()
            try:
                return await forward(call)
            finally:
                inside = time.perf_counter() - began

        began = time.perf_counter()
        try:
            return await slot.guard(call, timed_forward, io)
        finally:
            seconds[slot.name] = time.perf_counter() - began - inside

    return guard


def _types(slots: Iterable[Slot], text: str) -> list[str]:
    """Which entity types are in *text*, as the platform's mask finds them."""
    mask = next((slot for slot in slots if slot.kind == "mask"), None)
    find = getattr(mask.control, "find", None) if mask is not None else None
    if find is None:
        return ["message"]
    return sorted({finding.type for finding in find(text)}) or ["nothing found"]


def _never(_message: object) -> str:
    return ""  # its place is taken by the leaf of the rehearsal
