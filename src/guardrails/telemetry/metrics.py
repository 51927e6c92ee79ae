"""
Counts how sends end, while it is installed: an observer of core. Names, types and counts; nothing of a message.

One lock, re-entrant, because a garbage collector may end a send while another one is counted in the same thread.
"""

from __future__ import annotations

import itertools
import os
import threading
import weakref
from bisect import bisect_left
from collections import Counter, deque
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Final, Self

from guardrails.core import registry
from guardrails.core.observe import Ending, observe, stop_observing
from guardrails.core.verdict import VERDICTS
from guardrails.telemetry import families
from guardrails.telemetry.backlog import all_left_out, all_waiting
from guardrails.telemetry.families import Sample

if TYPE_CHECKING:
    from guardrails.core.guard import Guard
    from guardrails.core.verdict import Finding

BOUNDS: Final = (0.00001, 0.00003, 0.0001, 0.0003, 0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1.0, 3.0)  # seconds
MOST_SERIES: Final = 2_000  # of one metric
EVERY: Final = 8  # of so many sends, one has the durations of its controls counted
_BATCH: Final = 512  # sends that are counted together
_OTHER: Final = "other"
_SHADOWS: Final = frozenset(verdict for verdict in VERDICTS if verdict.startswith("shadow"))


class Metrics:
    """
    All metrics of this process.

    `Metrics().install()` counts from now on; `prometheus.exposition(metrics)` and `meters.export(metrics)` give them out.

    Args:
        most_series: Different combinations of labels of one metric; further ones are counted as "other".
    """

    def __init__(self, *, most_series: int = MOST_SERIES) -> None:
        self._most = most_series
        self._fresh()
        _known.add(self)

    def _fresh(self) -> None:
        self._lock = threading.RLock()
        self._ended: deque[tuple[str, str, str]] = deque()  # not counted yet
        self._sends: dict[tuple[str, ...], int] = {}
        self._refusals: dict[tuple[str, ...], int] = {}
        self._findings: dict[tuple[str, ...], int] = {}
        self._unscanned: dict[tuple[str, ...], int] = {}
        self._shadows: dict[tuple[str, ...], int] = {}
        self._remaining: dict[tuple[str, ...], int] = {}
        self._seconds: dict[Any, list[Any]] = {}  # slot to [sum, count in each bucket ...]
        self._left_out = 0
        self._turn = itertools.count()

    def install(self) -> Self:
        """Count from now on."""
        observe(self)
        return self

    def uninstall(self) -> None:
        """Count no more; what was counted stays."""
        stop_observing(self)

    def ended(self, send: Ending, /) -> None:
        """One send is over."""
        plan = send.plan
        self._ended.append((plan.operation, plan.channel, send.result))
        if send.notes is not None:
            self._listen(send.notes, plan.channel)
        if send.error is not None or send.unscanned:
            self._more(send, plan.channel)
        if not next(self._turn) % EVERY:
            self._sample(send)

    def _listen(self, notes: Sequence[tuple[Any, str, Mapping[str, Sequence[Finding]], Any, Any]], channel: str) -> None:
        for hop, verdict, findings, _, _ in notes:
            if findings:
                with self._lock:
                    for found in findings.values():
                        for finding in found:
                            self._count(self._findings, (channel, finding.type))
            if verdict in _SHADOWS:
                with self._lock:
                    self._count(self._shadows, (channel, _slot_name(hop)))

    def _more(self, send: Ending, channel: str) -> None:
        with self._lock:
            for name, count in send.unscanned.items():
                self._count(self._unscanned, (channel, name), count)
            kind, control, limit = send.why()
            if control is not None or (kind is not None and send.result == "refused"):
                self._count(self._refusals, (channel, control or "", kind or "", limit or ""))

    def _sample(self, send: Ending) -> None:
        """What is looked at for one send in `EVERY`: how long controls took, and what limits had left."""
        with self._lock:
            if len(self._ended) >= _BATCH:
                self._add_up()
            for slot, took in send.controls():
                cell = self._seconds.get(slot) or self._cell(slot)
                cell[0] += took
                cell[1 + bisect_left(BOUNDS, took)] += 1
            for hop, _, _, _, detail in send.notes or ():
                left = detail.get("remaining") if detail else None
                if isinstance(left, int):
                    key = _slot_name(hop), str(detail.get("limit", ""))
                    if key in self._remaining or len(self._remaining) < self._most:
                        self._remaining[key] = left

    def _add_up(self) -> None:
        """Count the sends that have ended. Appending needs no lock, and counting many at once costs a fifth of counting each."""
        ended = self._ended
        for key, count in Counter([ended.popleft() for _ in range(len(ended))]).items():
            self._count(self._sends, key, count)

    def _count(self, table: dict[tuple[str, ...], int], key: tuple[str, ...], count: int = 1) -> None:
        if key not in table and len(table) >= self._most:
            key = (_OTHER,) * len(key)
            self._left_out += count
        table[key] = table.get(key, 0) + count

    def _cell(self, slot: Any) -> list[Any]:
        # By slot, so that the hot path need not build a key; slots of one name are added up when they are asked for.
        if len(self._seconds) >= self._most:
            self._left_out += 1
            slot = None
        return self._seconds.setdefault(slot, [0.0, *([0] * (1 + len(BOUNDS)))])

    def samples(self) -> Iterator[Sample]:
        """Every metric now: what was counted, and how the guards of this process say that they are."""
        with self._lock:
            self._add_up()
            counted = [
                Sample(families.SENDS, dict(self._sends)),
                Sample(families.REFUSALS, dict(self._refusals)),
                Sample(families.FINDINGS, dict(self._findings)),
                Sample(families.UNSCANNED, dict(self._unscanned)),
                Sample(families.SHADOWS, dict(self._shadows)),
                self._durations(),
                Sample(families.LIMIT_REMAINING, dict(self._remaining)),
                Sample(families.SERIES_LEFT_OUT, {(): self._left_out}),
            ]
        yield from counted
        yield Sample(families.SPANS_WAITING, {(): all_waiting()})
        yield Sample(families.SPANS_LEFT_OUT, {(): all_left_out()})
        yield from _of_guards()

    def _durations(self) -> Sample:
        cells: dict[tuple[str, ...], list[Any]] = {}
        for slot, cell in self._seconds.items():
            key: tuple[str, ...] = (_OTHER, _OTHER) if slot is None else (slot.name, slot.layer)
            known = cells.get(key)
            cells[key] = list(cell) if known is None else [one + more for one, more in zip(known, cell, strict=True)]
        buckets: dict[tuple[str, ...], list[tuple[float, int]]] = {}
        for key, cell in cells.items():
            total, listed = 0, []
            for bound, count in zip((*BOUNDS, float("inf")), cell[1:], strict=True):
                total += count
                listed.append((bound, total))
            buckets[key] = listed
        return Sample(
            families.CONTROL_SECONDS,
            {key: listed[-1][1] for key, listed in buckets.items()},
            buckets,
            {key: cell[0] for key, cell in cells.items()},
        )


def _slot_name(hop: Any) -> str:
    return "" if hop is None else str(hop.slot.name)


_GAUGES: Final = {
    "queued": (families.AUDIT_QUEUED, 1.0),
    "in_flight": (families.AUDIT_IN_FLIGHT, 1.0),
    "lag_ms": (families.AUDIT_LAG, 0.001),
    "lost": (families.AUDIT_LOST, 1.0),
    "counters": (families.LIMIT_COUNTERS, 1.0),
    "max_counters": (families.LIMIT_COUNTERS_MAX, 1.0),
}


def _of_guards() -> Iterator[Sample]:
    """What platform guards that were used say about themselves."""
    values: dict[families.Family, dict[tuple[str, ...], float]] = {}
    for guard in registry.guards():
        if guard.parent is not None:
            continue
        health = guard.health()
        label = name_of(guard)
        for control in health.controls:
            values.setdefault(families.CONTROL_UP, {})[label, control.name, control.layer] = float(control.well)
            if control.error_rate is not None:
                values.setdefault(families.CONTROL_ERROR_RATE, {})[label, control.name, control.layer] = control.error_rate
            for fact, (family, scale) in _GAUGES.items():
                told = control.facts.get(fact)
                if isinstance(told, int | float):
                    values.setdefault(family, {})[label, control.name] = told * scale
        for result in ("changed", "refused"):
            count = health.policy.get(result)
            if isinstance(count, int):
                values.setdefault(families.POLICY_CHANGES, {})[label, result] = count
                values.setdefault(families.POLICY_CURRENT, {})[label,] = float(health.policy.get("problem") is None)
        age = health.canary.get("age_seconds")
        if isinstance(age, int | float):
            values.setdefault(families.CANARY_AGE, {})[label,] = age
            values.setdefault(families.CANARY_PASSED, {})[label,] = float(health.canary.get("passed") is True)
    return (Sample(family, found) for family, found in values.items())


def name_of(guard: Guard) -> str:
    """How a guard is called in metrics: its owner, and the file and line that made it."""
    where = os.path.basename(guard.where)  # noqa: PTH119 - "file:line" is no path
    return f"{guard.owner} {where}" if guard.owner else where


_known: Final[weakref.WeakSet[Metrics]] = weakref.WeakSet()


def _after_fork() -> None:
    """In a child: what was counted is the parent's."""
    for metrics in list(_known):
        metrics._fresh()  # noqa: SLF001 - same module


os.register_at_fork(after_in_child=_after_fork)
