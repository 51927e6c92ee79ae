"""What a log holds, counted."""

from __future__ import annotations

import os
from collections import Counter
from typing import Any

from guardrails.audit import read_records
from guardrails.reports.query import entities, objects


def stats(folder: str | os.PathLike[str]) -> dict[str, Any]:
    """
    Counts by stage, channel, result, refusal, control and entity type; first and last time.

    Raises:
        OSError: The folder or a file cannot be read.
    """
    by: dict[str, Counter[str]] = {
        name: Counter() for name in ("stages", "channels", "results", "decisions", "refused_by", "entities")
    }
    first = last = None
    for record in read_records(folder):
        ts, stage = str(record.get("ts", "")), str(record.get("stage"))
        first, last = min(first or ts, ts), max(last or ts, ts)
        by["stages"][stage] += 1
        if stage == "intent":
            by["channels"][str(record.get("channel"))] += 1
        elif stage == "outcome":
            by["results"][str(record.get("result"))] += 1
        elif stage == "decision":
            for one in objects(record, "counted") or [record]:
                count = one.get("count", 1)
                count = count if type(count) is int else 1
                by["decisions"][str(one.get("decision"))] += count
                by["refused_by"][str(one.get("control"))] += count
        by["entities"].update(entities(record))
    return {"first": first, "last": last, **{name: dict(sorted(counter.items())) for name, counter in by.items()}}
