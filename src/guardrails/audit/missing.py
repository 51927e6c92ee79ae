"""Streams that should be there and are not, by what the others and the anchor say; and those that are there twice."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta

from guardrails.audit.anchored import Anchored
from guardrails.audit.finding import Finding
from guardrails.audit.folder import stream_of
from guardrails.audit.said import FileResult, Tombstone


def twins(results: Iterable[FileResult]) -> list[Finding]:
    """Findings about streams that lie in two files."""
    seen: set[str] = set()
    found = []
    for result in results:
        if result.stream is not None and result.stream in seen:
            what = f"{result.name}: line 1: another file holds this stream too"
            found.append(
                Finding(what, verdict="integrity", code="twin", file=result.name, stream=result.stream, seq=0, line=1)
            )
        seen.add(result.stream or "")
    return found


def missing(
    results: list[FileResult], anchored: Anchored | None, retain_days: int | None
) -> tuple[dict[str, str], list[Finding]]:
    """Streams that were removed in their time and when they ended, and findings about those that were not."""
    there = {result.stream for result in results} | {stream_of(result.name) for result in results}
    wanted: dict[str, str] = {}
    for result in results:
        for stream in result.named:
            wanted.setdefault(stream, f"is named by {result.stream}")
    for stream, size in sorted(anchored.streams.items()) if anchored is not None else ():
        wanted[stream] = f"is anchored with {size} records"
    tombstones: dict[str, list[tuple[FileResult, Tombstone]]] = {}
    for result in results:
        for one in result.tombstones:
            tombstones.setdefault(one.stream, []).append((result, one))
    expired: dict[str, str] = {}
    found = []
    for stream, why in wanted.items():
        if stream in there:
            continue
        told = tombstones.get(stream, ())
        said = [_unfit(result, one, anchored, retain_days) for result, one in told]
        if None in said:
            expired[stream] = told[said.index(None)][1].ended
            continue
        what = f"stream {stream} {why}, and not here" + (f": {said[0]}" if said else "")
        found.append(
            Finding(what, verdict="completeness", code="removed-early" if said else "stream-missing", stream=stream)
        )
    return expired, found


def _unfit(result: FileResult, one: Tombstone, anchored: Anchored | None, retain_days: int | None) -> str | None:
    """Why a tombstone does not explain that its stream is gone; None if it does."""
    days = max(one.retain_days, retain_days or 0)
    try:
        early = _moment(one.ts) < _moment(one.ended) + timedelta(days=days)
    except (ValueError, OverflowError):
        early = True
    if early:
        return f"it was removed before it was {days} days old"
    if any(finding.verdict == "integrity" for finding in result.findings):
        return "its tombstone lies in a stream that was changed"
    if anchored is not None:
        if one.at.seq >= anchored.streams.get(one.at.stream, 0):
            return "its tombstone is under no checkpoint"
        root = anchored.root(one.stream, one.records)
        if anchored.streams.get(one.stream, 0) > one.records or (root is not None and root.hex() != one.root):
            return "its tombstone says something else than the anchor"
    return None


def _moment(ts: str) -> datetime:
    return datetime.strptime(ts, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
