"""A log for other programs: OCSF events as JSON Lines, or one row of CSV for each send and refusal."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from guardrails.reports.ocsf import event
from guardrails.reports.query import Filters, in_frame, objects, whole
from guardrails.reports.rendering import csv_line, row_of
from guardrails.reports.sends import Ended, ended

FORMATS: Final = ("ocsf", "csv")
_COLUMNS: Final = (
    "ts",
    "result",
    "channel",
    "tenant",
    "conversation",
    "operation",
    "recipient",
    "entities",
    "control",
    "deny_code",
    "limit",
    "error_type",
    "count",
    "guard_us",
    "send_us",
    "policy",
    "send_id",
    "stream",
    "seq",
)


def exported(records: Iterable[Mapping[str, Any]], form: str, filters: Filters) -> Iterator[str]:
    """
    Lines without their ends.

    Args:
        records: Of the log.
        form: One of `FORMATS`.
        filters: Of the first record of each; its outcome may come later.
    """
    wanted = (one for one in ended(records) if in_frame(one.first, filters))
    if form == "ocsf":
        for one in wanted:  # ASCII: every control character is an escape
            yield json.dumps(event(one), sort_keys=True, separators=(",", ":"))
        return
    yield ",".join(_COLUMNS)
    for one in wanted:
        row = _row(one)
        yield csv_line(row[name] for name in _COLUMNS)


def _row(one: Ended) -> dict[str, object]:
    outcome, limit = one.outcome, one.first.get("limit")
    counted = objects(one.first, "counted")
    return row_of(one.first) | {
        "result": one.result,
        "limit": limit.get("name", "") if isinstance(limit, dict) else "",
        "error_type": outcome.get("error_type", "") if outcome is not None else "",
        "count": sum(whole(each, "count") for each in counted) if counted else 1,
        "send_us": whole(outcome, "duration_us") if outcome is not None else "",
    }
