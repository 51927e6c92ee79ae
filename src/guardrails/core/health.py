"""
How a guard's controls are doing, told by its last sends. Always on: a send adds one entry to a ring, nothing more.

A refusal is a control that works. A control is unwell when it could not decide (`Unavailable`) or broke its contract
(`ControlError`); it is well again when a send has passed it.
"""

from __future__ import annotations

import itertools
import threading
import time
from collections import deque
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import asdict, dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

from guardrails.errors import ControlError, Unavailable

if TYPE_CHECKING:
    from guardrails.core.stack import Slot

RING: Final = 512  # sends that a guard remembers
LATE: Final = 2.5  # intervals without a canary, and it is missing
_EVERY: Final = 16  # one of so many sends keeps the durations of its controls
_SAMPLES: Final = 512


class Pulse:
    """What a family of guards (a platform guard and its team guards) remembers of its last sends. Times and names only."""

    __slots__ = ("_canary", "_canary_at", "_count", "_lock", "down", "recent", "samples", "since")

    def __init__(self) -> None:
        self.since: float = time.monotonic()
        self.recent: deque[tuple[float, str | None]] = deque(maxlen=RING)  # when, and which control failed
        self.samples: deque[tuple[tuple[Slot, float], ...]] = deque(maxlen=_SAMPLES)
        self.down: dict[str, tuple[float, str]] = {}  # control to since when, and the class of its last failure
        self._canary: Mapping[str, str | int | float | bool | None] = {}
        self._canary_at = 0.0
        self._count = itertools.count()
        self._lock = threading.Lock()

    def beat(self, journey: Any, error: BaseException | None) -> None:
        """One send is over."""
        failed: str | None = None
        if error is not None and isinstance(error, Unavailable | ControlError):
            failed = error.control or "core"
            now = time.monotonic()
            with self._lock:
                self.down[failed] = (self.down.get(failed, (now, ""))[0], type(error).__name__)
        elif self.down:
            self._recovered(journey)
        # `started` was read at the door; only a refusal has to read the clock.
        self.recent.append((journey.started or time.monotonic(), failed))
        if not next(self._count) % _EVERY:
            self.samples.append(tuple((hop.slot, hop.used + hop.spent + hop.door) for hop in journey.hops()))

    def _recovered(self, journey: Any) -> None:
        passed = {hop.slot.name for hop in journey.hops()}
        with self._lock:
            for name in passed & self.down.keys():
                del self.down[name]

    def tell_canary(self, **facts: str | float | bool | None) -> None:
        """What a round of canaries found: "passed", and "every_seconds" where they come by themselves."""
        self._canary, self._canary_at = facts, time.monotonic()

    def canary(self) -> dict[str, str | int | float | bool | None]:
        """What the last round found, and how old that is; empty when there was none."""
        facts = dict(self._canary)
        if facts:
            age = time.monotonic() - self._canary_at
            facts["age_seconds"] = round(age, 3)
            every = facts.get("every_seconds")
            facts["late"] = isinstance(every, int | float) and age > LATE * every
        return facts

    def after_fork(self) -> None:
        """In a child: a lock that nobody holds."""
        self._lock = threading.Lock()


@dataclass(frozen=True, slots=True, kw_only=True)
class ControlHealth:
    """
    One control.

    Args:
        name: As in errors and records.
        layer: "platform" or "team".
        well: Whether it can decide, as far as is known.
        last_success: When a send last passed it, or was refused by it; None if none did.
        error_rate: Failures among the last sends (at most 512), 0 to 1; None before the first send.
        latency_ms: Its own time by quantile ("p50", "p95", "p99"), of one send in 16; empty before the first.
        degraded_since: Since when it fails; None when it does not.
        problem: What is wrong, in our words; None if nothing is.
        facts: What the control says about itself.
    """

    name: str
    layer: str
    well: bool
    last_success: datetime | None
    error_rate: float | None
    latency_ms: Mapping[str, float]
    degraded_since: datetime | None
    problem: str | None
    facts: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Health:
    """
    A guard and the guards that extend it.

    Args:
        controls: Each control, outermost first; the platform's before the teams'.
        sends: Sends that are remembered (at most 512).
        open: Whether the guard takes sends.
        canary: What the last round of canaries found; empty when there was none.
        policy: Of a guard from a policy: its "digest", how many changes were "changed" and "refused", and under "problem" why the
            last change was not taken; empty otherwise.
    """

    controls: Sequence[ControlHealth]
    sends: int
    open: bool
    canary: Mapping[str, str | int | float | bool | None] = field(default_factory=dict)
    policy: Mapping[str, str | int | None] = field(default_factory=dict)

    @property
    def well(self) -> bool:
        """Whether everything is."""
        canaries = self.canary.get("passed") is not False and not self.canary.get("late")
        current = self.policy.get("problem") is None
        return self.open and canaries and current and all(control.well for control in self.controls)

    def as_dict(self) -> dict[str, Any]:
        """For JSON: times as RFC 3339."""
        plain = asdict(self)
        for control in plain["controls"]:
            for name in ("last_success", "degraded_since"):
                control[name] = None if control[name] is None else control[name].isoformat(timespec="milliseconds")
        return {"well": self.well, **plain}


def health_of(
    pulse: Pulse, slots: Iterable[Slot], *, is_open: bool, policy: Mapping[str, str | int | None] | None = None
) -> Health:
    """What is known of *slots*."""
    recent, samples = _copied(pulse.recent), _copied(pulse.samples)
    now, wall = time.monotonic(), datetime.now(UTC)
    controls = []
    for slot in slots:
        passed = [when for when, failed in recent if failed != slot.name]
        failures = len(recent) - len(passed)
        took = sorted(seconds for sample in samples for known, seconds in sample if known.control is slot.control)
        facts, problem = _said_by(slot)
        since, kind = pulse.down.get(slot.name, (None, ""))
        if since is not None and problem is None:
            problem = f"the last send failed in it ({kind})"
        controls.append(
            ControlHealth(
                name=slot.name,
                layer=slot.layer,
                well=problem is None,
                last_success=wall - timedelta(seconds=now - max(passed)) if passed else None,
                error_rate=failures / len(recent) if recent else None,
                latency_ms={f"p{of}": round(_quantile(took, of / 100) * 1e3, 4) for of in (50, 95, 99)} if took else {},
                degraded_since=wall - timedelta(seconds=now - since) if since is not None else None,
                problem=problem,
                facts=facts,
            )
        )
    return Health(controls=tuple(controls), sends=len(recent), open=is_open, canary=pulse.canary(), policy=policy or {})


def _copied(ring: deque[Any]) -> list[Any]:
    while True:
        try:
            return list(ring)
        except RuntimeError:  # a send ended meanwhile
            continue


def _said_by(slot: Slot) -> tuple[dict[str, Any], str | None]:
    """What the control says about itself: facts, and under "problem" what is wrong."""
    ask = getattr(slot.control, "health", None)
    if ask is None:
        return {}, None
    try:
        facts = dict(ask())
    except Exception as error:  # noqa: BLE001 - a control that cannot say how it is, is not well
        return {}, f"health() raised {type(error).__name__}"
    problem = facts.pop("problem", None)
    return facts, None if problem is None else str(problem)


def _quantile(ordered: Sequence[float], share: float) -> float:
    return ordered[min(len(ordered) - 1, int(share * len(ordered)))]
