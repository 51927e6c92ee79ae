"""
A round of canaries: planted values through every guarded send of a guard, with the leaf replaced, so that nothing is sent.

1. Through each send's own binding, all controls, and back: the planted values must be gone from what would have been sent,
   and from the reply; the record of it must be readable and chained to the record before (`passage`).
2. Each control by itself: what it says that it refuses, it must refuse (`trials`).
3. A control that cannot decide, or breaks its contract, is a failure of that control, and the others are tried without it.
"""

from __future__ import annotations

import logging
import secrets
import time
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Final

from guardrails.core.shapes import Shape
from guardrails.errors import ConfigError, GuardrailsError
from guardrails.proof.passage import try_send
from guardrails.proof.plants import PLANTS
from guardrails.proof.round import FAILED, HELD, UNTRIED, WATCHED, CanaryCheck, CanaryReport, Round, said
from guardrails.proof.trials import try_alone

if TYPE_CHECKING:
    from guardrails.core.guard import Guard
    from guardrails.core.plan import Plan
    from guardrails.core.stack import Slot

__all__ = ["FAILED", "HELD", "TENANT", "UNTRIED", "WATCHED", "CanaryCheck", "CanaryReport", "canary"]

TENANT: Final = "canary"
_log: Final = logging.getLogger("guardrails")


def canary(
    guard: Guard, *, types: Collection[str] | None = None, tenant: str = TENANT, _broken: Mapping[Slot, Slot] | None = None
) -> CanaryReport:
    """
    Try every control of *guard*, through every send that it and the guards that extend it have decorated. Nothing is sent.

    Call it from a plain thread (`await asyncio.to_thread(canary, guard)`): it waits until the round is over. Async sends run
    on a loop of the round's own.

    Args:
        guard: Whose controls and sends. Without a decorated send, a message of its own is tried.
        types: Entity types to plant; None for all that the mask control says it can find. Those that cannot be planted,
            because no value of them is nobody's, are named in the report as not tried.
        tenant: Tenant of the planted messages; where controls depend on the tenant, one of yours.

    Raises:
        ConfigError: *types* names what cannot be planted.
    """
    unknown = sorted(set(types or ()) - PLANTS.keys())
    if unknown:
        raise ConfigError(f"canary(types=...): {unknown[0]!r} cannot be planted; there are {', '.join(PLANTS)}")
    at, began = datetime.now(UTC), time.monotonic()
    this = Round(f"canary-{secrets.token_hex(8)}", PLANTS if types is None else types, tenant, _broken or {})
    plans = [plan for one in guard.family for plan in one.plans] or [_message_plan(guard)]
    for plan in plans:
        try:
            try_send(plan, this)
            try_alone(plan, this)
        except GuardrailsError as error:  # arguments that cannot be made up, controls that cannot be chosen
            this.add(None, plan, "decides", FAILED, said(error), named=error.control or "binding")
    report = CanaryReport(at=at, seconds=time.monotonic() - began, name=this.name, checks=tuple(this.checks))
    if _broken is None:
        _tell(guard, plans, report)
    return report


def _message_plan(guard: Guard) -> Plan:
    return guard._message_plan(_never, Shape.SYNC, "auto")  # noqa: SLF001 - what `guard.run` would do


def _never(_message: object) -> str:
    return ""  # its place is taken by the leaf of the rehearsal


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
