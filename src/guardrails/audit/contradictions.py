"""What the streams of a log say together of sends, that none of them can know alone: two intents, an outcome without one."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from guardrails.audit.finding import Finding
from guardrails.audit.folder import stream_of
from guardrails.audit.reading import lines, seconds_of
from guardrails.audit.said import FileResult
from guardrails.audit.sends import Loose, number_of, repeated

_SHOWN: Final = 1_000  # findings of one kind across files
_LATE_SECONDS: Final = 60.0  # from an intent to its send, and for clocks that are set
_SEND: Final = re.compile(rb'"event_id":"([0-9a-f]{32})".*"send_id":"([0-9a-f]{32})"')


def contradictions(
    paths: list[Path], results: list[FileResult], spill: Path | None, expired: Mapping[str, str]
) -> list[Finding]:
    """
    What no stream can know alone.

    Args:
        paths: Of the files.
        results: What each of them says.
        spill: A folder for what does not fit into memory; None where all of it does.
        expired: Streams that were removed in their time, and when they ended.
    """
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
            found += _judged(result, loose, seen, waiting, expired)
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


def _judged(
    result: FileResult, loose: Loose, seen: list[_Seen], waiting: Mapping[str, object], expired: Mapping[str, str]
) -> list[Finding]:
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
    ends = [expired[stream] for stream in result.named if stream in expired]
    if any(loose.began < seconds_of(ended) + _LATE_SECONDS for ended in ends):  # its intent was in what expired
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
