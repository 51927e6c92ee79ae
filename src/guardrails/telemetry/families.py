"""The metrics of this library: names, meanings, labels. Documentation, dashboard and alert rules are held to it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final


@dataclass(frozen=True, slots=True)
class Family:
    """
    One metric.

    Args:
        name: As Prometheus knows it.
        kind: "counter", "gauge" or "histogram".
        help: One line.
        labels: Names of its labels.
        otel: As OpenTelemetry knows it.
        unit: In UCUM, as OpenTelemetry wants it.
    """

    name: str
    kind: str
    help: str
    labels: tuple[str, ...]
    otel: str
    unit: str = "1"


@dataclass(frozen=True, slots=True)
class Sample:
    """
    Values of one metric now.

    Args:
        family: Which.
        values: Values of its labels, in order, to the value.
        buckets: For histograms: values of its labels to (upper bound, cumulative count) pairs.
        sums: For histograms: values of its labels to the sum.
    """

    family: Family
    values: Mapping[tuple[str, ...], float]
    buckets: Mapping[tuple[str, ...], Sequence[tuple[float, int]]] = field(default_factory=dict)
    sums: Mapping[tuple[str, ...], float] = field(default_factory=dict)


SENDS: Final = Family(
    "guardrails_sends_total",
    "counter",
    "Calls of guarded sends that ended, by result (refused, replied, or what became of the send).",
    ("operation", "channel", "result"),
    "guardrails.sends",
    "{send}",
)
REFUSALS: Final = Family(
    "guardrails_refusals_total",
    "counter",
    "Refused sends, by the control that refused, the class of its error, and the limit that was reached.",
    ("channel", "control", "reason", "limit"),
    "guardrails.refusals",
    "{send}",
)
FINDINGS: Final = Family(
    "guardrails_findings_total",
    "counter",
    "Personal data that was found, by entity type.",
    ("channel", "type"),
    "guardrails.findings",
    "{finding}",
)
UNSCANNED: Final = Family(
    "guardrails_unscanned_total",
    "counter",
    "Values under a text selector that are not text, by type.",
    ("channel", "type"),
    "guardrails.unscanned",
    "{value}",
)
SHADOWS: Final = Family(
    "guardrails_shadow_refusals_total",
    "counter",
    "What monitored controls would have refused.",
    ("channel", "control"),
    "guardrails.shadow_refusals",
    "{send}",
)
CONTROL_SECONDS: Final = Family(
    "guardrails_control_seconds",
    "histogram",
    "A control's own time (before the send, at the door, after it), of one send in 8.",
    ("control", "layer"),
    "guardrails.control.duration",
    "s",
)
CONTROL_UP: Final = Family(
    "guardrails_control_up",
    "gauge",
    "Whether the control can decide, as far as is known: 1 or 0.",
    ("guard", "control", "layer"),
    "guardrails.control.up",
)
CONTROL_ERROR_RATE: Final = Family(
    "guardrails_control_error_rate",
    "gauge",
    "Share of the last sends (at most 512) that failed in the control.",
    ("guard", "control", "layer"),
    "guardrails.control.error_rate",
)
LIMIT_REMAINING: Final = Family(
    "guardrails_limit_remaining",
    "gauge",
    "Units that the limit had left for a send that it let pass, of one send in 8.",
    ("control", "limit"),
    "guardrails.limit.remaining",
    "{unit}",
)
LIMIT_COUNTERS: Final = Family(
    "guardrails_limit_counters",
    "gauge",
    "Counters that a limit in memory keeps.",
    ("guard", "control"),
    "guardrails.limit.counters",
    "{counter}",
)
LIMIT_COUNTERS_MAX: Final = Family(
    "guardrails_limit_counters_max",
    "gauge",
    "Counters that it keeps at most; beyond, sends that need a new one are refused.",
    ("guard", "control"),
    "guardrails.limit.counters.max",
    "{counter}",
)
AUDIT_QUEUED: Final = Family(
    "guardrails_audit_queued",
    "gauge",
    "Records that wait to be written.",
    ("guard", "control"),
    "guardrails.audit.queued",
    "{record}",
)
AUDIT_IN_FLIGHT: Final = Family(
    "guardrails_audit_in_flight",
    "gauge",
    "Sends whose outcome is not on record yet.",
    ("guard", "control"),
    "guardrails.audit.in_flight",
    "{send}",
)
AUDIT_LAG: Final = Family(
    "guardrails_audit_lag_seconds",
    "gauge",
    "For how long the write that runs now has been running.",
    ("guard", "control"),
    "guardrails.audit.lag",
    "s",
)
AUDIT_LOST: Final = Family(
    "guardrails_audit_lost_total",
    "counter",
    "Records that came after the log was closed.",
    ("guard", "control"),
    "guardrails.audit.lost",
    "{record}",
)
CANARY_AGE: Final = Family(
    "guardrails_canary_age_seconds",
    "gauge",
    "Time since the last round of canaries; absent before the first.",
    ("guard",),
    "guardrails.canary.age",
    "s",
)
CANARY_PASSED: Final = Family(
    "guardrails_canary_passed",
    "gauge",
    "Whether the last round of canaries passed: 1 or 0.",
    ("guard",),
    "guardrails.canary.passed",
)
POLICY_CHANGES: Final = Family(
    "guardrails_policy_changes_total",
    "counter",
    'Changes of the policy file that were put in force ("changed") or not taken ("refused").',
    ("guard", "result"),
    "guardrails.policy.changes",
    "{change}",
)
POLICY_CURRENT: Final = Family(
    "guardrails_policy_current",
    "gauge",
    "Whether the last change of the policy file is in force: 1, or 0 when it was refused and the last good one stays.",
    ("guard",),
    "guardrails.policy.current",
)
SERIES_LEFT_OUT: Final = Family(
    "guardrails_series_left_out_total",
    "counter",
    'Observations whose labels were replaced by "other", because there were too many different ones.',
    (),
    "guardrails.series.left_out",
)
SPANS_WAITING: Final = Family(
    "guardrails_spans_waiting",
    "gauge",
    "Sends that are over and wait to become spans.",
    (),
    "guardrails.spans.waiting",
    "{span}",
)
SPANS_LEFT_OUT: Final = Family(
    "guardrails_spans_left_out_total",
    "counter",
    "Spans that were not made: too many waited, making them failed, or the process ended first.",
    (),
    "guardrails.spans.left_out",
    "{span}",
)
FAMILIES: Final = (
    *(SENDS, REFUSALS, FINDINGS, UNSCANNED, SHADOWS, CONTROL_SECONDS, CONTROL_UP, CONTROL_ERROR_RATE, LIMIT_REMAINING),
    *(LIMIT_COUNTERS, LIMIT_COUNTERS_MAX, AUDIT_QUEUED, AUDIT_IN_FLIGHT, AUDIT_LAG, AUDIT_LOST, CANARY_AGE, CANARY_PASSED),
    *(POLICY_CHANGES, POLICY_CURRENT, SERIES_LEFT_OUT, SPANS_WAITING, SPANS_LEFT_OUT),
)
