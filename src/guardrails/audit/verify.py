"""
Does what lies there hold together? Offline, from the files alone, and whatever the bytes.

Verdicts. *Integrity*: each line is a record in canonical form, numbered without a gap, and carries the SHA-256 of the line
before it; each stream begins with what the one before it ended with. *Completeness*: each stream that another one names is
there, or was removed in its time with a tombstone on record. *Liveness*: checkpoints came as often as they were promised.
*Semantics*: one intent a send, one outcome an intent, never an outcome alone. An intent without an outcome is counted as
unknown: a process died, or is at it.

With an anchor and the keys to trust: *authenticity* (each note is signed by a trusted key) and completeness up to the
newest checkpoint of each stream. Without an anchor the last stream of each process is not protected by anything, and the
report says so.

Memory does not grow with the log. Imports no more than the standard library; with an anchor also `cryptography`.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import chain
from multiprocessing import get_context
from pathlib import Path
from typing import Final

from guardrails.audit.anchored import Anchored
from guardrails.audit.finding import Finding
from guardrails.audit.folder import stream_of
from guardrails.audit.note import Trust
from guardrails.audit.notes import can_be_rewritten, read_notes
from guardrails.audit.reading import Malformed, files, lines, parse
from guardrails.audit.report import Report, StreamReport, unusable
from guardrails.audit.sends import Loose, number_of, repeated
from guardrails.audit.stream_reading import Claim, FileResult, Tombstone, read_file
from guardrails.errors import ConfigError

_SMALL_BYTES: Final = 67_108_864
_SHOWN: Final = 1_000  # findings of one kind across files
_SEND: Final = re.compile(rb'"event_id":"([0-9a-f]{32})".*"send_id":"([0-9a-f]{32})"')


def verify_directory(
    folder: str | os.PathLike[str],
    *,
    anchor: str | os.PathLike[str] | None = None,
    trust: str | os.PathLike[str] | None = None,
    retain_days: int | None = None,
    jobs: int = 1,
) -> Report:
    """
    Verify every stream of *folder*.

    Args:
        folder: As given to `AuditLog`.
        anchor: Where checkpoints are kept: the folder of a `DirectoryAnchor`, a file of syslog lines, or the URL of a
            witness; needs *trust*.
        trust: The reviewer's own file of verifier keys.
        retain_days: How long streams must have been kept at least; None takes the writer's word, which is on record.
        jobs: Processes that read streams side by side.
    """
    try:
        paths = files(folder)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        return unusable(folder, f"cannot be read ({type(error).__name__})")
    if not paths:
        return unusable(folder, "no audit stream here (*.jsonl)")
    anchored: Anchored | None = None
    if (anchor is None) != (trust is None):
        return unusable(folder, "an anchor and the keys to trust go together")
    if anchor is not None and trust is not None:
        try:
            anchored = Anchored(read_notes(anchor), Trust(trust))
        except (ConfigError, OSError, ValueError) as error:
            said = str(error) if isinstance(error, ConfigError) else f"the anchor cannot be read ({type(error).__name__})"
            return unusable(folder, said)
    with _spill(paths) as spill:
        results = _read_all(paths, spill, anchored, jobs)
        semantics = _contradictions(paths, results, spill)
    return _report(folder, results, semantics, anchored, retain_days, anchor)


@contextmanager
def _spill(paths: Iterable[Path]) -> Iterator[Path | None]:
    """A folder for what does not fit into memory; None where all of it does."""
    try:
        small = sum(path.stat().st_size for path in paths if not path.name.endswith(".gz")) < _SMALL_BYTES
    except OSError:
        small = False
    if small and not any(path.name.endswith(".gz") for path in paths):
        yield None
        return
    with tempfile.TemporaryDirectory(prefix="guardrails-verify-") as folder:
        yield Path(folder)


def _read_all(paths: list[Path], spill: Path | None, anchored: Anchored | None, jobs: int) -> list[FileResult]:
    claims = _claims(paths)
    work = [
        (
            path,
            spill,
            None if anchored is None else anchored.reader(stream_of(path.name)),
            claims.get(stream_of(path.name), []),
        )
        for path in paths
    ]
    if jobs <= 1 or len(paths) == 1:
        return [read_file(*one) for one in work]
    with ProcessPoolExecutor(min(jobs, len(paths)), mp_context=get_context("spawn")) as pool:
        return list(pool.map(read_file, *zip(*work, strict=True)))


def _claims(paths: Iterable[Path]) -> dict[str, list[Claim]]:
    """What the genesis record of each file says about the stream before it."""
    found: dict[str, list[Claim]] = {}
    for path in paths:
        try:
            first = parse(next(lines(path), b"").removesuffix(b"\n"))
        except (Malformed, OSError):  # named when the file is read
            continue
        previous, records, head = (first.get(f"previous_{name}") for name in ("stream", "records", "head"))
        if isinstance(previous, str) and type(records) is int and isinstance(head, str):
            found.setdefault(previous, []).append(Claim(by=stream_of(path.name), records=records, head=head))
    return found


# -- what the streams say together


def _contradictions(paths: list[Path], results: list[FileResult], spill: Path | None) -> list[Finding]:
    """What no stream can know alone."""
    sends = [result.sends for result in results]
    waiting: dict[str, tuple[FileResult, int]] = {}
    found: list[Finding] = []
    for result in results:
        for send, line in result.sends.waiting.items():
            if send.decode() in waiting:
                found.append(_about_send("second-intent", "a second intent", send.decode(), result, line))
            waiting[send.decode()] = result, line
    odd: list[tuple[FileResult, Loose]] = []
    ended: dict[str, Loose] = {}
    for result in results:
        for loose in result.sends.loose:
            there = waiting.get(loose.send)
            if there is not None and there[0] is not result and loose.send not in ended:
                ended[loose.send] = loose
                del there[0].sends.waiting[loose.send.encode()]
            elif loose.send in ended and ended[loose.send].event_id == loose.event_id:
                result.sends.results[loose.result] -= 1  # a sink that failed half-way: written again to the next stream
            else:
                odd.append((result, loose))
    twice = repeated(sends, spill)
    if odd or twice:
        seen = _records_of({loose.send for _, loose in odd}, twice, paths)
        for result, loose in odd:
            found += _judged(result, loose, seen, waiting)
        found += _repeated(twice, seen, results)
    return found[:_SHOWN]


@dataclass(frozen=True, slots=True)
class _Seen:
    """A record of a send that is looked at again."""

    file: str
    line: int
    stage: str
    event_id: str
    send: str


def _records_of(wanted: set[str], twice: set[int], paths: Iterable[Path]) -> list[_Seen]:
    """Where the sends *wanted*, and those that may be there twice, have records: a second reading, when something is odd."""
    found = []
    for path in paths:
        try:
            for number, line in enumerate(lines(path), 1):
                match = _SEND.search(line)
                if match is not None:
                    send = match[2].decode()
                    stage = "intent" if b'"stage":"intent"' in line else "outcome" if b'"stage":"outcome"' in line else ""
                    if stage and (send in wanted or number_of(send) in twice):
                        found.append(_Seen(path.name, number, stage, match[1].decode(), send))
        except OSError:  # named already
            continue
    return found


def _judged(result: FileResult, loose: Loose, seen: list[_Seen], waiting: Mapping[str, object]) -> list[Finding]:
    mine = [one for one in seen if one.send == loose.send]
    others = [
        one for one in mine if one.stage == "outcome" and (one.file, one.line) != (loose.place.file, loose.place.line)
    ]
    if any(one.event_id == loose.event_id and one.file != loose.place.file for one in others):
        result.sends.results[loose.result] -= 1  # a sink that failed half-way: written again to the next stream
        return []
    line = loose.place.line
    if others:
        return [_about_send("second-outcome", "a second outcome", loose.send, result, line)]
    if any(one.stage == "intent" for one in mine) or loose.send in waiting:
        return [_about_send("outcome-first", "an outcome before its intent,", loose.send, result, line)]
    if loose.result == "abandoned":  # it says that nothing was sent, and perhaps nothing was written
        return []
    return [_about_send("outcome-alone", "an outcome without an intent,", loose.send, result, line)]


def _repeated(twice: set[int], seen: list[_Seen], results: list[FileResult]) -> list[Finding]:
    by_file = {result.name: result for result in results}
    first: set[tuple[str, str]] = set()
    found = []
    for one in seen:
        if number_of(one.send) in twice:
            if (one.send, one.stage) in first:
                what = f"a second {one.stage}"
                found.append(_about_send(f"second-{one.stage}", what, one.send, by_file[one.file], one.line))
            first.add((one.send, one.stage))
    return found


def _about_send(code: str, what: str, send: str, result: FileResult, line: int) -> Finding:
    text = f"{result.name}: line {line}: {what} of send {send}"
    stream = result.stream or stream_of(result.name)
    return Finding(text, verdict="semantics", code=code, file=result.name, stream=stream, seq=line - 1, line=line)


# -- the whole directory


def _report(
    folder: str | os.PathLike[str],
    results: list[FileResult],
    semantics: list[Finding],
    anchored: Anchored | None,
    retain_days: int | None,
    anchor: str | os.PathLike[str] | None,
) -> Report:
    expired, missing = _missing(results, anchored, retain_days)
    found = [*chain.from_iterable(result.findings for result in results), *_twins(results), *semantics, *missing]
    if anchored is not None:
        found += anchored.findings
    ended: Counter[str] = Counter()
    for result in results:
        ended.update(result.sends.results)
    return Report(
        folder=os.fsdecode(folder),
        streams=tuple(_stream(result, found) for result in results),
        authenticity=_of("authenticity", found),
        completeness=_of("completeness", found),
        liveness=_of("liveness", found),
        semantics=_of("semantics", found),
        expired=tuple(expired),
        anchored=anchored is not None,
        anchor_in_reach=anchor is not None and can_be_rewritten(anchor, folder),
        intents=sum(result.sends.intents for result in results),
        outcomes=tuple(sorted((+ended).items())),
        decisions=sum(result.sends.decisions for result in results),
        unknown_outcomes=sum(len(result.sends.waiting) for result in results),
    )


def _of(verdict: str, found: Iterable[Finding]) -> tuple[Finding, ...]:
    return tuple(one for one in found if one.verdict == verdict)


def _stream(result: FileResult, found: Iterable[Finding]) -> StreamReport:
    return StreamReport(
        file=result.name,
        stream=result.stream,
        state=result.state,
        records=result.records,
        tail_bytes=result.tail_bytes,
        unanchored=result.unanchored,
        findings=tuple(one for one in found if one.file == result.name and one.verdict == "integrity"),
    )


def _twins(results: Iterable[FileResult]) -> list[Finding]:
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


def _missing(
    results: list[FileResult], anchored: Anchored | None, retain_days: int | None
) -> tuple[list[str], list[Finding]]:
    """Streams that were removed in their time, and findings about those that were not."""
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
    expired, found = [], []
    for stream, why in wanted.items():
        if stream in there:
            continue
        said = [_unfit(result, one, anchored, retain_days) for result, one in tombstones.get(stream, ())]
        if None in said:
            expired.append(stream)
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
