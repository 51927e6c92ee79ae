"""A round of canaries: what was tried, and what came of it."""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final

from guardrails.errors import GuardrailsError
from guardrails.proof.place import place

if TYPE_CHECKING:
    from guardrails.core.plan import Plan
    from guardrails.core.stack import Slot

HELD: Final = "held"
FAILED: Final = "failed"
WATCHED: Final = "watches"  # a monitored control: it lets everything through
UNTRIED: Final = "not tried"


@dataclass(frozen=True, slots=True, kw_only=True)
class CanaryCheck:
    """
    One thing that was tried.

    Args:
        control: The control; "binding" and "core" for what is ours.
        layer: "platform" or "team".
        send: `module:qualname` of the send that it was tried with.
        tried: What was tried, in a word: "plants", "mask", "reply", "record", "limit", "refuses" or "decides".
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
class Round:
    """What one round knows; `broken` puts other slots in the place of some, for a drill."""

    name: str
    types: Collection[str]
    tenant: str
    broken: Mapping[Slot, Slot] = field(default_factory=dict)
    checks: list[CanaryCheck] = field(default_factory=list)
    tried: set[int] = field(default_factory=set)  # controls that were tried by themselves
    planted: set[int] = field(default_factory=set)  # mask controls of which it was said what cannot be planted

    def add(self, slot: Slot | None, plan: Plan, tried: str, result: str, why: str = "", *, named: str = "core") -> None:
        """Put on the report what came of one thing that was tried."""
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


def said(error: BaseException) -> str:
    """Our own errors hold no text of a message; of any other only the class is told."""
    return f"{type(error).__name__}: {error}" if isinstance(error, GuardrailsError) else type(error).__name__
