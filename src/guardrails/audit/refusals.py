"""
Which refusals get a record of their own, and how the others are counted.

Rules. A flood of refusals cannot fill the disk: after a burst only a few a second get a record, the rest is counted by
kind and written as one record every few seconds. Nothing here waits or takes a lock that another holder could keep:
refusals may come from any thread, also from a garbage collector that runs inside this very code.
"""

from __future__ import annotations

import threading
from collections import deque
from typing import TYPE_CHECKING, Final, NamedTuple

from guardrails.audit.fields import Members, short, word
from guardrails.audit.record import head, now

if TYPE_CHECKING:
    from guardrails.audit.bounds import Bounds
    from guardrails.audit.record import EventIds


class Kind(NamedTuple):
    """What is counted apart."""

    channel: str
    control: str
    decision: str
    deny_code: str


_CHARACTERS: Final = 64
OTHER: Final = Kind("other", "other", "other", "other")


class Refusals:
    """
    Permits for records of refusals, and the count of those without.

    Args:
        bounds: Burst, rate, period and kinds.
        event_ids: Names the aggregates, before they are written.
    """

    __slots__ = (
        "_aggregate_id",
        "_bounds",
        "_counts",
        "_event_ids",
        "_folding",
        "_permits",
        "_refilled",
        "_seen",
        "_since",
    )

    def __init__(self, bounds: Bounds, event_ids: EventIds) -> None:
        self._bounds = bounds
        self._event_ids = event_ids
        self._permits = deque([None] * bounds.decisions_burst, maxlen=bounds.decisions_burst)
        self._refilled: float | None = None  # monotonic seconds
        self._seen: deque[tuple[Kind, float]] = deque()  # not yet in _counts; as short as folding is quick
        self._counts: dict[Kind, int] = {}
        self._since: tuple[str, float] | None = None  # when the open aggregate began: wall clock, monotonic seconds
        self._aggregate_id = event_ids()
        self._folding = threading.Lock()

    def permit(self, now_seconds: float) -> bool:
        """Whether a refusal at this monotonic time gets a record of its own."""
        self._refill(now_seconds)
        try:
            self._permits.pop()
        except IndexError:
            return False
        return True

    def count(self, kind: Kind, now_seconds: float) -> str:
        """Count one refusal; the id of the record that will count it."""
        self._seen.append((kind, now_seconds))
        self._fold()
        return self._aggregate_id

    @property
    def pending(self) -> bool:
        """Whether refusals wait to be written."""
        return bool(self._counts or self._seen)

    def due_in(self, now_seconds: float) -> float | None:
        """Seconds until the open aggregate wants to be written; None without one."""
        since = self._since
        return None if since is None else max(0.0, since[1] + self._bounds.aggregate_seconds - now_seconds)

    def take(self) -> Members | None:
        """The open aggregate as a record, which begins a new one; None if there is nothing or somebody else is at it."""
        self._fold()
        if not self._folding.acquire(blocking=False):
            return None
        try:
            counts, since, event_id = self._counts, self._since, self._aggregate_id
            if not counts:
                return None
            self._counts, self._since, self._aggregate_id = {}, None, self._event_ids()
        finally:
            self._folding.release()
        members = head("decision", event_id)
        members["decision"] = word("decision", "counted")
        members["since"] = f'"since":"{since[0] if since else now()}"'
        members["counted"] = f'"counted":[{",".join(_counted(kind, counts[kind]) for kind in sorted(counts))}]'
        return members

    def _fold(self) -> None:
        while self._seen and self._folding.acquire(blocking=False):
            try:
                while self._seen:
                    kind, seconds = self._seen.popleft()
                    if kind not in self._counts and len(self._counts) >= self._bounds.aggregate_keys:
                        kind = OTHER
                    self._counts[kind] = self._counts.get(kind, 0) + 1
                    if self._since is None:
                        self._since = now(), seconds
            finally:
                self._folding.release()

    def _refill(self, now_seconds: float) -> None:
        since = self._refilled
        if since is None:
            self._refilled = now_seconds
        elif (earned := int((now_seconds - since) * self._bounds.decisions_per_second)) > 0:
            # Two threads may both see the same time; each then adds at most what one of them earned.
            self._refilled = since + earned / self._bounds.decisions_per_second
            self._permits.extend([None] * min(earned, self._bounds.decisions_burst))


def _counted(kind: Kind, count: int) -> str:
    channel, control, decision, deny_code = (short(name, _CHARACTERS) for name in kind)
    return f'{{"channel":{channel},"control":{control},"count":{count},"decision":{decision},"deny_code":{deny_code}}}'
