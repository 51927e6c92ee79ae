"""
Who wants to know how sends end: metrics, spans, health. Nobody, unless somebody asks; then a send costs one call more.

What observers are given holds names, counts, types and durations. It leads to no message: the journey that knows the text
has forgotten it, or is about to.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, Protocol

if TYPE_CHECKING:
    from guardrails.core.plan import Plan
    from guardrails.core.stack import Slot
    from guardrails.core.verdict import Finding

_log: Final = logging.getLogger("guardrails")


class Said(NamedTuple):
    """
    What one control noted during a send.

    Args:
        slot: The control; None for core itself.
        verdict: One of `guardrails.core.verdict.VERDICTS`.
        findings: What it found, by part.
        detail: Facts; None without.
    """

    slot: Slot | None
    verdict: str
    findings: Mapping[str, Sequence[Finding]]
    detail: Mapping[str, str | int | bool | None] | None


class Ended(NamedTuple):
    """
    One send that is over.

    Args:
        plan: The decoration.
        result: One of `guardrails.core.control.RESULTS`, "refused", or "replied" (a control answered instead of the send).
        error_type: Class name of what was raised; None if nothing was.
        control: The control that refused or failed; None where none did.
        limit: The limit that was reached; None for other refusals.
        controls: Each control that was entered, and its own seconds: before the send, at the door, and after it.
        said: What controls noted.
        unscanned: Type name to number of values under a selector that are not text.
        send_id: Joins records and spans; None when nothing needed one.
        send_seconds: From the send's start to its end; 0.0 when it was not entered.
    """

    plan: Plan
    result: str
    error_type: str | None
    control: str | None
    limit: str | None
    controls: Sequence[tuple[Slot, float]]
    said: Sequence[Said]
    unscanned: Mapping[str, int]
    send_id: str | None
    send_seconds: float


class Ending:
    """
    A send that ends right now, as observers are told: what they do not ask for is not put together.

    It is valid while `Observer.ended` runs, and empty afterwards; `whole()` gives what can be kept.

    Attributes:
        plan: The decoration.
        result: As in `Ended`.
        error: What was raised; its class and fields are for telemetry, its text is not.
        notes: What controls noted, as core keeps it: who (a hop, or None), verdict, findings by part, coverage, detail. None
            without; `said()` is the same in names. For who cannot afford objects on every send.
        unscanned: Type name to number of values under a selector that are not text.
    """

    __slots__ = ("_journey", "error", "notes", "plan", "result", "unscanned")

    def __init__(self, journey: Any, result: str, error: BaseException | None) -> None:
        self._journey: Any = journey
        self.error: BaseException | None = error
        self.plan: Plan = journey.plan
        self.result: str = result
        self.notes: Sequence[tuple[Any, str, Mapping[str, Sequence[Finding]], Any, Any]] | None = journey.notes
        reading = journey.reading
        self.unscanned: Mapping[str, int] = _NOTHING if reading is None else reading.unscanned

    @property
    def tenant(self) -> str | None:
        """The tenant of the message, as the call named it: an id, for controls, and not for telemetry."""
        reading = self._journey.reading
        tenant: str | None = None if reading is None else reading.message.tenant
        return tenant

    def why(self) -> tuple[str | None, str | None, str | None]:
        """Class of what was raised, the control that raised it, and the limit that was reached."""
        error = self.error
        if error is None:
            return None, None, None
        return type(error).__name__, getattr(error, "control", None), getattr(error, "limit", None)

    def controls(self) -> list[tuple[Slot, float]]:
        """Each control that was entered, and its own seconds: before the send, at the door, and after it."""
        found: list[tuple[Slot, float]] = []
        hop = self._journey.innermost
        while hop is not None:
            found.append((hop.slot, hop.used + hop.spent + hop.door))
            hop = hop.parent
        return found

    def said(self) -> list[Said]:
        """What controls noted."""
        notes = self.notes
        return [] if notes is None else [Said(getattr(one[0], "slot", None), one[1], one[2], one[4]) for one in notes]

    def gist(self) -> list[Any]:
        """
        What takes least to keep, in one flat list: objects that a garbage collector has to look at cost more than their content.

        Returns:
            plan, result, `why()` or None, send id or None, when the send was entered (0.0 if it was not) and when it ended, both
            by `time.monotonic`; then of each control its slot and its seconds.
        """
        journey = self._journey
        found: list[Any] = [
            self.plan,
            self.result,
            None if self.error is None else self.why(),
            journey._send_id,  # noqa: SLF001 - core's own; asking for it would make one
            journey.started,
            time.monotonic(),
        ]
        hop = journey.innermost
        while hop is not None:
            found.append(hop.slot)
            found.append(hop.used + hop.spent + hop.door)
            hop = hop.parent
        return found

    def whole(self) -> Ended:
        """All of it, to be kept."""
        journey = self._journey
        return Ended(
            self.plan,
            self.result,
            *self.why(),
            self.controls(),
            self.said(),
            self.unscanned,
            journey._send_id,  # noqa: SLF001 - as above
            time.monotonic() - journey.started if journey.started else 0.0,
        )

    def forget(self) -> None:
        """It leads nowhere any more."""
        self._journey = self.error = self.notes = None


class Observer(Protocol):
    """Told about every send of this process that ends. Quick, never waits; what it raises is logged by class."""

    def ended(self, send: Ending, /) -> None:
        """One send is over."""


observers: tuple[Observer, ...] = ()
_changing: Final = threading.Lock()


def observe(observer: Observer) -> None:
    """Tell *observer* from now on; once, however often it is named."""
    global observers  # noqa: PLW0603 - replaced whole, so that a send reads one tuple without a lock
    with _changing:
        if not any(known is observer for known in observers):
            observers = (*observers, observer)


def stop_observing(observer: Observer) -> None:
    """Tell *observer* no more."""
    global observers  # noqa: PLW0603 - as above
    with _changing:
        observers = tuple(known for known in observers if known is not observer)


def tell(journey: Any, result: str, error: BaseException | None) -> None:
    """Core's: *journey* is over. Called before it forgets."""
    ending = Ending(journey, result, error)
    for observer in observers:
        try:
            observer.ended(ending)
        except Exception as failure:  # noqa: BLE001 - the send is over; telemetry must not change what it gave
            _log.error("guardrails: an observer failed with %s", type(failure).__name__)
    ending.forget()


_NOTHING: Final[dict[str, int]] = {}
