"""
An audit log held against the provider's own: messages that no guard saw, and sends that the provider does not know.

How a message finds its intent, first by what is certain: the provider's id (its keyed digest is in the outcome), then the
caller's own reference (its digest is in the intent), then the recipient's digest and the nearest time within a window, sends
that are recorded as sent first. Each intent and recipient is taken once.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import chain
from typing import Any, Final

from guardrails.audit.lookup import Lookup
from guardrails.reports.provider import Delivery
from guardrails.reports.query import recipients, text
from guardrails.reports.sends import UNKNOWN, Ended, ended

# Kinds, worst first.
REFUSED: Final = "sent though refused"
BYPASSED: Final = "sent without intent"
CONTRADICTED: Final = "sent though recorded as not"
UNDELIVERED: Final = "intent without delivery"
CLOSED_SENT: Final = "unknown closed: sent"
CLOSED_FAILED: Final = "unknown closed: not delivered"
CLOSED_NEVER: Final = "unknown closed: not at the provider"
MATCHED: Final = "matched"
KINDS: Final = (REFUSED, BYPASSED, CONTRADICTED, UNDELIVERED, CLOSED_SENT, CLOSED_FAILED, CLOSED_NEVER, MATCHED)
BROKEN, OPEN = {REFUSED, BYPASSED, CONTRADICTED}, {UNDELIVERED}
_UNSURE: Final = {UNKNOWN, "cancelled"}
_NOT_SENT: Final = {"failed", "abandoned"}
# Of several sends to one person at about one time, a message belongs to one that was sent before one that perhaps was.
_RANK: Final = {"sent": 0, "cut": 0, "failed": 2, "abandoned": 2}


@dataclass(slots=True)
class _Unit:
    """One recipient of one send or refusal."""

    one: Ended
    at: datetime
    digest: str
    delivery: Delivery | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Match:
    """
    One line of the answer.

    Args:
        kind: One of `KINDS`.
        at: When, of the intent or else of the provider.
        first: The intent, or the refusal that it went past; None without one.
        delivery: The provider's; None without one.
    """

    kind: str
    at: datetime
    first: Mapping[str, Any] | None = None
    delivery: Delivery | None = None

    def row(self) -> dict[str, object]:
        """For people and programs; no address in it."""
        first, delivery = self.first or {}, self.delivery
        return {
            "kind": self.kind,
            "time": f"{self.at:%Y-%m-%dT%H:%M:%S}Z",
            "channel": text(first, "channel") or "",
            "send_id": text(first, "send_id") or "",
            "operation": text(first, "operation") or "",
            "provider_line": delivery.line if delivery is not None else "",
            "provider_id": delivery.id if delivery is not None else "",
            "provider_status": delivery.status if delivery is not None else "",
        }


def reconcile(
    records: Iterable[Mapping[str, Any]],
    deliveries: Sequence[Delivery],
    known: Sequence[Lookup],
    *,
    window: timedelta,
    channel: str | None = None,
) -> list[Match]:
    """
    Every message of the provider and every send of its time, by time.

    Args:
        records: Of the audit log.
        deliveries: The provider's.
        known: What finds people and ids in the audit log, by tenant.
        window: How far the two may lie apart when they are matched by recipient and time.
        channel: Of the audit log, which others are left out; None: all.
    """
    if not deliveries:
        return []
    begin = min(one.at for one in deliveries) - window
    end = max(one.at for one in deliveries) + window
    units = [unit for one in ended(records) for unit in _units(one, channel) if begin <= unit.at <= end]
    sends = [unit for unit in units if not unit.one.was_refused]
    left = list(deliveries)
    left = _by_digest(sends, left, _reply, lambda one: _labels(known, "reply", one.id))
    left = _by_digest(sends, left, _message_key, lambda one: _labels(known, "id", one.reference))
    left = _by_time(sends, left, known, window)
    refused = [unit for unit in units if unit.one.was_refused]
    bypassed = _by_time(refused, left, known, window)
    found = chain(
        (Match(kind=BYPASSED, at=one.at, delivery=one) for one in bypassed),
        (Match(kind=REFUSED, at=one.at, first=one.one.first, delivery=one.delivery) for one in refused if one.delivery),
        (Match(kind=_kind(one), at=one.at, first=one.one.first, delivery=one.delivery) for one in sends if _says(one)),
    )
    return sorted(found, key=lambda match: (match.at, KINDS.index(match.kind)))


def _units(one: Ended, channel: str | None) -> Iterator[_Unit]:
    first = one.first
    if first.get("direction") != "outbound" or channel not in {None, first.get("channel")}:
        return
    try:
        at = datetime.fromisoformat(str(first.get("ts")))
    except ValueError:
        return
    for digest in recipients(first) or [""]:
        yield _Unit(one, at, digest)


def _kind(unit: _Unit) -> str:
    result, delivery = unit.one.result, unit.delivery
    if delivery is None:
        return CLOSED_NEVER if result in _UNSURE else UNDELIVERED
    if result in _UNSURE:
        return CLOSED_SENT if delivery.was_delivered else CLOSED_FAILED
    return CONTRADICTED if result in _NOT_SENT and delivery.was_delivered else MATCHED


def _says(unit: _Unit) -> bool:
    """Whether there is anything to say: a send that failed and that the provider does not know is as it should be."""
    return unit.delivery is not None or unit.one.result not in _NOT_SENT


def _reply(unit: _Unit) -> str | None:
    return text(unit.one.outcome, "reply") if unit.one.outcome is not None else None


def _message_key(unit: _Unit) -> str | None:
    return text(unit.one.first, "message_key")


def _by_digest(
    units: Sequence[_Unit],
    left: Sequence[Delivery],
    mine: Callable[[_Unit], str | None],
    theirs: Callable[[Delivery], Sequence[str]],
) -> list[Delivery]:
    """Match by an id whose digest is on record; what is left."""
    waiting: dict[str, list[_Unit]] = defaultdict(list)
    for unit in reversed(units):
        digest = mine(unit)
        if digest is not None and unit.delivery is None:
            waiting[digest].append(unit)
    still = []
    for delivery in left:
        labels = theirs(delivery) if waiting else ()
        same = next((waiting[label] for label in labels if waiting.get(label)), None)
        if same is None:
            still.append(delivery)
        else:
            same.pop().delivery = delivery
    return still


def _by_time(
    units: Sequence[_Unit], left: Sequence[Delivery], known: Sequence[Lookup], window: timedelta
) -> list[Delivery]:
    """Match by recipient and the nearest time; what is left."""
    by_person: dict[str, list[_Unit]] = defaultdict(list)
    for unit in units:
        if unit.delivery is None and unit.digest:
            by_person[unit.digest].append(unit)
    near = []
    for number, delivery in enumerate(left):
        for label in _labels(known, "recipient", delivery.recipient):
            for unit in by_person.get(label, ()):
                apart = abs(delivery.at - unit.at)
                if apart <= window:
                    near.append((_RANK.get(unit.one.result, 1), apart, number, unit))
    taken: set[int] = set()
    for _, _, number, unit in sorted(near, key=lambda one: one[:3]):
        if number not in taken and unit.delivery is None:
            taken.add(number)
            unit.delivery = left[number]
    return [one for number, one in enumerate(left) if number not in taken]


def _labels(known: Sequence[Lookup], kind: str, value: str) -> list[str]:
    return [label for one in known for label in one.labels(kind, value)] if value else []
