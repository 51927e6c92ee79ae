"""
`guardrails drill`: breaks each control in a rehearsal, and measures how soon the canaries say so.

Nothing is sent, and the controls that real messages meet stay as they are.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from guardrails.errors import Unavailable
from guardrails.proof.canary import TENANT, canary

if TYPE_CHECKING:
    from guardrails.core.call import Call
    from guardrails.core.control import Forward, Io, Reply
    from guardrails.core.guard import Guard
    from guardrails.core.stack import Slot


@dataclass(frozen=True, slots=True, kw_only=True)
class Drilled:
    """
    One control, broken in one way.

    Args:
        control: Its name.
        layer: "platform" or "team".
        fault: How it was broken; `NONE` where that was not needed.
        found: Whether the round that followed named it.
        round_seconds: How long that round took.
        alarm_seconds: From the fault to the alarm, at most: the wait for the round, and the round.
        why: What the round said, or why it could not find it.
    """

    control: str
    layer: str
    fault: str
    found: bool
    round_seconds: float
    alarm_seconds: float
    why: str


async def _passes(call: Call, forward: Forward, _io: Io, /) -> Reply:
    return await forward(call)


async def _is_dead(_call: Call, _forward: Forward, _io: Io, /) -> Reply:
    raise Unavailable("what it needs does not answer (a drill)")


async def _crashes(_call: Call, _forward: Forward, _io: Io, /) -> Reply:
    raise RuntimeError("a drill")


FAULTS: Final[dict[str, Callable[..., Any]]] = {
    "lets everything pass": _passes,
    "cannot decide (store dead, sink full)": _is_dead,
    "crashes": _crashes,
}


NONE: Final = "fails as it is"


def drill(guard: Guard, *, every_seconds: float | None = None, tenant: str = TENANT) -> Iterator[Drilled]:
    """
    Break every control of *guard* and of the guards that extend it, in every way, one at a time.

    A control that fails as it is comes first, and is not broken further: what its canary says would not be of the fault.

    Args:
        guard: Whose controls.
        every_seconds: How often canaries come; the guard's own `canary_every_seconds`, else 60.
        tenant: As for `canary`.

    Yields:
        What became of each fault.
    """
    every = every_seconds or guard.canary_every_seconds or 60.0
    as_they_are = canary(guard, tenant=tenant, _broken={})
    slots = {id(slot.control): slot for one in guard.family for stack in one.stacks for slot in stack.slots}
    for slot in slots.values():
        why = next((check.why or check.tried for check in as_they_are.failed if check.control == slot.name), None)
        if why is not None:
            yield Drilled(
                control=slot.name,
                layer=slot.layer,
                fault=NONE,
                found=True,
                round_seconds=as_they_are.seconds,
                alarm_seconds=every + as_they_are.seconds,
                why=why,
            )
            continue
        for fault, guards in FAULTS.items():
            began = time.monotonic()
            broken = {other: replace(other, guard=guards) for other in _same(guard, slot)}
            report = canary(guard, tenant=tenant, _broken=broken)
            took = time.monotonic() - began
            why = next((check.why or check.tried for check in report.failed if check.control == slot.name), "")
            found = slot.name in report.controls
            yield Drilled(
                control=slot.name,
                layer=slot.layer,
                fault=fault,
                found=found,
                round_seconds=took,
                alarm_seconds=every + took,
                why=why if found else _why_not(slot),
            )


def _same(guard: Guard, slot: Slot) -> list[Slot]:
    """Every place in which the control of *slot* stands."""
    return [other for one in guard.family for stack in one.stacks for other in stack.slots if other.control is slot.control]


def _why_not(slot: Slot) -> str:
    if slot.monitored:
        return "it only watches"
    if slot.kind is None:
        return "it does not say what it refuses: @check(refuses=[...])"
    return "the canaries cannot tell"
