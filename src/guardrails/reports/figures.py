"""
What a report shows: each figure is one question in SQL, which the report names, and what becomes of its answer.

Rules. A figure shows nothing that its question did not bring. All times are UTC.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final, TypeAlias

from guardrails.reports.charts import Spec, bars_of, lines_over_time, stacked_over_time
from guardrails.reports.tables import Tables

Row: TypeAlias = Mapping[str, Any]
Plot: TypeAlias = Callable[[Sequence[Row], "Frame"], Spec]

# How ends of messages are told apart, worst last, so that it lies on top.
ENDS: Final = ("sent", "answered", "refused", "deferred", "not sent", "failed", "undecided", "unknown")


@dataclass(frozen=True, slots=True, kw_only=True)
class Frame:
    """
    The time that a report is about.

    Args:
        since: First record.
        until: Last record.
        unit: "minute", "hour", "day" or "month": how long one bar is.
        where: The condition that every question holds.
    """

    since: datetime
    until: datetime
    unit: str
    where: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Figure:
    """
    One question, and how its answer is shown.

    Args:
        name: Its anchor in the page.
        title: What it is about.
        text: How to read it.
        sql: The question; `{where}` and `{unit}` are the frame's.
        plot: Draws the rows; None: a table only.
        columns: Headings of the table, by column.
        nothing: What to say when there are no rows.
    """

    name: str
    title: str
    text: str
    sql: str
    columns: Mapping[str, str]
    nothing: str
    plot: Plot | None = None


@dataclass(frozen=True, slots=True)
class Answered:
    """A figure with its question as it was asked, and its rows."""

    figure: Figure
    sql: str
    rows: Sequence[Row] = field(default_factory=tuple)


def frame_of(tables: Tables, since: str | None, until: str | None) -> Frame | None:
    """
    The frame that a report is about; None if there is no record in it.

    Args:
        tables: Of the log.
        since: From this moment on, in the form of records.
        until: Before this moment.
    """
    conditions = [f"ts >= TIMESTAMP '{since[:-1]}'"] if since else []
    conditions += [f"ts < TIMESTAMP '{until[:-1]}'"] if until else []
    where = " AND ".join(conditions) or "true"
    _, ((first, last),) = tables.ask(f"SELECT min(ts), max(ts) FROM records WHERE {where}")  # noqa: S608 - checked times
    if first is None or last is None:
        return None
    long = last - first
    unit = "month"
    for most, name in ((timedelta(hours=2), "minute"), (timedelta(days=3), "hour"), (timedelta(days=120), "day")):
        if long <= most:
            unit = name
            break
    return Frame(since=first, until=last, unit=unit, where=where)


def answered(tables: Tables, figure: Figure, frame: Frame) -> Answered:
    """Ask a figure's question."""
    sql = figure.sql.format(where=frame.where, unit=frame.unit, span=(frame.since, frame.until))
    names, rows = tables.ask(sql)
    return Answered(figure, sql, [dict(zip(names, row, strict=True)) for row in rows])


_END: Final = (
    "CASE result WHEN 'sent' THEN 'sent' WHEN 'failed' THEN 'failed' WHEN 'abandoned' THEN 'not sent'"
    " WHEN 'cancelled' THEN 'unknown' WHEN 'cut' THEN 'sent' ELSE 'unknown' END"
)
_REFUSED: Final = (
    "CASE decision WHEN 'deny' THEN 'refused' WHEN 'defer' THEN 'deferred' WHEN 'reply' THEN 'answered'"
    " WHEN 'cancel' THEN 'not sent' ELSE 'undecided' END"
)

VOLUME: Final = Figure(
    name="volume",
    title="Messages over time",
    text=(
        "Every message that came to a guard, by what became of it. Refused: a control said no. Undecided: a control could "
        "not say, so nothing was sent. Unknown: the provider timed out, or the process died, and nobody can say. Broken "
        "lines: the policy changed."
    ),
    sql=(
        f"SELECT date_trunc('{{unit}}', ts) AS time, ended, sum(n)::BIGINT AS messages FROM (SELECT ts, {_END} AS ended,"  # noqa: S608 - ours
        f" 1 AS n FROM sends WHERE {{where}} UNION ALL SELECT ts, {_REFUSED}, count FROM refusals WHERE {{where}})"
        " GROUP BY ALL ORDER BY ALL"
    ),
    plot=lambda rows, frame: stacked_over_time(
        rows, x="time", y="messages", by="ended", kinds=ENDS, unit=frame.unit, span=(frame.since, frame.until)
    ),
    columns={"time": "Time (UTC)", "ended": "Ended", "messages": "Messages"},
    nothing="No message came to a guard in this time.",
)

FIGURES: Final = (
    Figure(
        name="masked",
        title="Personal data found, by type and channel",
        text="What detection found in messages that were to be sent. The text itself is in no record.",
        sql=(
            "SELECT * FROM (SELECT entity, channel, sum(count)::BIGINT AS found FROM findings"
            " WHERE stage IN ('intent', 'decision') AND {where} GROUP BY entity, channel)"
            " ORDER BY sum(found) OVER (PARTITION BY entity) DESC, entity, channel"
        ),
        plot=lambda rows, _frame: bars_of(rows, x="found", y="entity", by="channel"),
        columns={"entity": "Type", "channel": "Channel", "found": "Found"},
        nothing="Nothing personal was found in this time.",
    ),
    Figure(
        name="refusals",
        title="Refusals, by control and limit",
        text="Which control refused how many messages, and by which limit or error.",
        sql=(
            "SELECT * FROM (SELECT coalesce(control, '(none)') || ' · ' || coalesce(limit_name, deny_code, decision)"
            " AS refused_by, coalesce(channel, '(none)') AS channel, sum(count)::BIGINT AS refused FROM refusals WHERE {where}"
            " GROUP BY ALL) ORDER BY sum(refused) OVER (PARTITION BY refused_by) DESC, refused_by, channel"
        ),
        plot=lambda rows, _frame: bars_of(rows, x="refused", y="refused_by", by="channel"),
        columns={"refused_by": "Control and limit", "channel": "Channel", "refused": "Refused"},
        nothing="No message was refused in this time.",
    ),
    Figure(
        name="latency",
        title="What the guard takes",
        text="Time of all controls together on the way to a send, in milliseconds. The send itself is not in it.",
        sql=(
            "SELECT date_trunc('{unit}', ts) AS time, unnest(['p50', 'p95', 'p99']) AS quantile,"
            " unnest(quantile_cont(guard_us, [0.5, 0.95, 0.99])) / 1000 AS ms FROM sends"
            " WHERE guard_us IS NOT NULL AND {where} GROUP BY time ORDER BY ALL"
        ),
        plot=lambda rows, frame: lines_over_time(
            rows,
            x="time",
            y="ms",
            by="quantile",
            kinds=("p50", "p95", "p99"),
            unit=frame.unit,
            span=(frame.since, frame.until),
        ),
        columns={"time": "Time (UTC)", "quantile": "Quantile", "ms": "Milliseconds"},
        nothing="No send was guarded in this time.",
    ),
    Figure(
        name="controls",
        title="What each control takes",
        text="Its own time, in milliseconds, without what it forwarded to.",
        sql=(
            "SELECT layer, control, count(*) AS messages, quantile_cont(duration_us, 0.5) / 1000 AS p50,"
            " quantile_cont(duration_us, 0.99) / 1000 AS p99 FROM guards WHERE stage IN ('intent', 'decision')"
            " AND duration_us IS NOT NULL AND {where} GROUP BY ALL ORDER BY p99 DESC"
        ),
        columns={"layer": "Layer", "control": "Control", "messages": "Messages", "p50": "p50 ms", "p99": "p99 ms"},
        nothing="No control noted its time.",
    ),
    Figure(
        name="degraded",
        title="Degraded periods",
        text=(
            "When the guard worked with less than it should have: a store was down and a local share of a limit was used, "
            "a control could not decide and nothing was sent, or the audit log could not be written."
        ),
        sql=(
            "SELECT date_trunc('{unit}', ts) AS time, why, sum(n)::BIGINT AS records FROM"
            " (SELECT ts, control || ' degraded' AS why, 1 AS n FROM guards WHERE degraded AND {where}"
            " UNION ALL SELECT ts, coalesce(control, 'guard') || ' could not decide', count FROM refusals"
            " WHERE decision = 'error' AND {where}"
            " UNION ALL SELECT ts, 'audit log could not be written', 1 FROM records"
            " WHERE stage = 'genesis' AND why = 'sink_failed' AND {where}) GROUP BY ALL ORDER BY ALL"
        ),
        plot=lambda rows, frame: stacked_over_time(
            rows, x="time", y="records", by="why", kinds=(), unit=frame.unit, span=(frame.since, frame.until)
        ),
        columns={"time": "Time (UTC)", "why": "What", "records": "Records"},
        nothing="None: every control worked as it should have.",
    ),
    Figure(
        name="shadow",
        title="What controls on trial would have done",
        text="Controls under monitor() do not act; this is what they would have refused or masked.",
        sql=(
            "SELECT control, verdict, coalesce(channel, '(none)') AS channel, count(*) AS messages FROM guards"
            " WHERE monitored AND verdict <> 'allow' AND {where} GROUP BY ALL ORDER BY messages DESC"
        ),
        columns={"control": "Control", "verdict": "Would have", "channel": "Channel", "messages": "Messages"},
        nothing="No control was on trial, or none would have acted.",
    ),
    Figure(
        name="unknown",
        title="Unknown outcomes",
        text=(
            "Sends that may or may not have reached the provider: an intent without an outcome, or a provider that timed "
            "out. Hold them against the provider's own log with guardrails audit reconcile. The newest 20."
        ),
        sql=(
            "SELECT ts, channel, operation, coalesce(error_type, CASE WHEN result IS NULL THEN '(no outcome)' ELSE '' END)"
            " AS error, send_id FROM sends WHERE (result IS NULL OR result IN ('unknown', 'cancelled')) AND {where}"
            " ORDER BY ts DESC LIMIT 20"
        ),
        columns={"ts": "Time (UTC)", "channel": "Channel", "operation": "Send", "error": "Error", "send_id": "Send id"},
        nothing="None: what became of every send is on record.",
    ),
    Figure(
        name="changes",
        title="Changes of policy and configuration",
        text="When another policy came into force, by its digest, and what else the log says about its own set-up.",
        sql=(
            "SELECT ts, what, name FROM (SELECT ts, 'policy' AS what, policy AS name,"
            " lag(policy) OVER (PARTITION BY stream ORDER BY seq) AS before FROM records WHERE policy IS NOT NULL AND {where})"
            " WHERE before IS DISTINCT FROM name UNION ALL SELECT ts, 'config', change FROM records"
            " WHERE stage = 'config' AND {where} UNION ALL SELECT ts, 'writer', why FROM records"
            " WHERE stage = 'genesis' AND {where} ORDER BY ts DESC LIMIT 100"
        ),
        columns={"ts": "Time (UTC)", "what": "What", "name": "Now"},
        nothing="None in this time.",
    ),
)
POLICIES: Final = Figure(
    name="policies",
    title="",
    text="",
    sql=(
        "SELECT min(ts) AS ts, policy FROM records WHERE policy IS NOT NULL AND {where} GROUP BY policy"
        " ORDER BY ts LIMIT 50"
    ),
    columns={},
    nothing="",
)
SUMMARY: Final = Figure(
    name="summary",
    title="",
    text="",
    sql=(
        "SELECT (SELECT count(*) FROM sends WHERE {where}) AS sends,"
        " (SELECT count(*) FROM sends WHERE result IN ('sent', 'cut') AND {where}) AS sent,"
        " (SELECT coalesce(sum(count), 0)::BIGINT FROM refusals"
        " WHERE decision IN ('deny', 'defer', 'error') AND {where}) AS refused,"
        " (SELECT coalesce(sum(count), 0)::BIGINT FROM findings WHERE stage IN ('intent', 'decision') AND {where}) AS found,"
        " (SELECT count(*) FROM sends WHERE (result IS NULL OR result IN ('unknown', 'cancelled')) AND {where}) AS unknown,"
        " (SELECT quantile_cont(guard_us, 0.99) / 1000 FROM sends WHERE {where}) AS p99,"
        " (SELECT count(*) FROM guards WHERE degraded AND {where}) AS degraded"
    ),
    columns={},
    nothing="",
)
