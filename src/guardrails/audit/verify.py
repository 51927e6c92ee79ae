"""
Does what lies there hold together? Offline, from the files alone, and whatever the bytes.

Verdicts. *Integrity*: each line is a record in canonical form, numbered without a gap, and carries the SHA-256 of the line
before it. *Completeness*: each stream that another one names is there. *Semantics*: one intent a send, one outcome an
intent, never an outcome alone. An intent without an outcome is counted as unknown: a process died, or is at it.

With an anchor and the keys to trust: *authenticity* (each note is signed by a trusted key) and completeness up to the
newest checkpoint of each stream. Without an anchor the last record of each stream is not protected by anything, and the
report says so.
"""

from __future__ import annotations

import os
import re
from collections import Counter
from dataclasses import dataclass, field
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Final

from guardrails.audit.anchored import Anchored
from guardrails.audit.note import Trust
from guardrails.audit.reading import LINE_BYTES, Malformed, files, lines, parse
from guardrails.audit.record import FIRST_PREV, SCHEMA_VERSION, STAGES
from guardrails.audit.report import Report, StreamReport, unusable
from guardrails.core.control import RESULTS
from guardrails.errors import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

_KEPT: Final = 1_000  # findings of one file
_ID: Final = re.compile(r"[0-9a-f]{32}")
_TIME: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{6}Z", re.ASCII)


def verify_directory(
    folder: str | os.PathLike[str],
    *,
    anchor: str | os.PathLike[str] | None = None,
    trust: str | os.PathLike[str] | None = None,
) -> Report:
    """
    Verify every `*.jsonl` file of *folder*.

    Args:
        folder: As given to `AuditLog`.
        anchor: The folder of a `DirectoryAnchor`; needs *trust*.
        trust: The reviewer's own file of verifier keys.
    """
    try:
        paths = files(folder)
    except (OSError, ValueError) as error:  # ValueError: a name with a null character
        return unusable(folder, f"cannot be read ({type(error).__name__})")
    if not paths:
        return unusable(folder, "no audit stream here (*.jsonl)")
    ledger = _Ledger()
    anchored: Anchored | None = None
    if (anchor is None) != (trust is None):
        return unusable(folder, "an anchor and the keys to trust go together")
    if anchor is not None and trust is not None:
        try:
            anchored = Anchored(anchor, Trust(trust))
        except (ConfigError, OSError, ValueError) as error:
            said = str(error) if isinstance(error, ConfigError) else f"the anchor cannot be read ({type(error).__name__})"
            return unusable(folder, said)
    streams = tuple(_verify_file(path, ledger, anchored) for path in paths)
    return Report(
        folder=os.fsdecode(folder),
        streams=streams,
        authenticity=() if anchored is None else tuple(anchored.authenticity),
        completeness=(*ledger.missing(), *ledger.cut, *(() if anchored is None else anchored.missing(ledger.streams))),
        anchored=anchored is not None,
        semantics=tuple(ledger.contradictions()),
        intents=len(ledger.intents),
        outcomes=tuple(sorted(ledger.results().items())),
        decisions=ledger.decisions,
        unknown_outcomes=len(ledger.intents.keys() - ledger.outcomes.keys()),
    )


@dataclass(slots=True)
class _Place:
    stream: str
    seq: int
    event_id: object
    result: str = ""


@dataclass(slots=True)
class _Ledger:
    """What all streams together say about each send."""

    intents: dict[str, _Place] = field(default_factory=dict)
    outcomes: dict[str, _Place] = field(default_factory=dict)
    decisions: int = 0
    repeated: list[str] = field(default_factory=list)
    streams: set[str] = field(default_factory=set)
    named: dict[str, str] = field(default_factory=dict)  # stream to one that names it
    cut: list[str] = field(default_factory=list)  # streams that hold less, or other, than was anchored

    def add(self, record: dict[str, Any], place: _Place) -> None:
        send = record.get("send_id")
        match record["stage"]:
            case "genesis":
                previous = record.get("previous_stream")
                if isinstance(previous, str):
                    self.named[previous] = place.stream
            case "intent" if isinstance(send, str):
                if send in self.intents:
                    self.repeated.append(f"stream {place.stream}, seq {place.seq}: a second intent of send {send}")
                self.intents.setdefault(send, place)
            case "outcome" if isinstance(send, str):
                first = self.outcomes.setdefault(send, place)
                # A sink that failed half-way may hold an outcome that was then written again, to the next stream.
                again = first.event_id == place.event_id and first.stream != place.stream
                if first is not place and not again:
                    self.repeated.append(f"stream {place.stream}, seq {place.seq}: a second outcome of send {send}")
            case "decision":
                counted = record.get("counted", ())
                if isinstance(counted, list) and counted:
                    self.decisions += sum(one["count"] for one in counted)
                else:
                    self.decisions += 1
            case _:  # close, and what has been found malformed
                return

    def missing(self) -> list[str]:
        return [f"stream {one} is named by {by}, and not here" for one, by in self.named.items() if one not in self.streams]

    def contradictions(self) -> list[str]:
        found = list(self.repeated)
        for send, outcome in self.outcomes.items():
            intent = self.intents.get(send)
            where = f"stream {outcome.stream}, seq {outcome.seq}"
            if intent is None:
                if outcome.result != "abandoned":  # that one says that nothing was sent, and perhaps nothing written
                    found.append(f"{where}: an outcome without an intent, of send {send}")
            elif intent.stream == outcome.stream and intent.seq > outcome.seq:
                found.append(f"{where}: an outcome before its intent, of send {send}")
        return found

    def results(self) -> Counter[str]:
        return Counter(outcome.result for outcome in self.outcomes.values())


class _Reading:
    """One file, line by line."""

    def __init__(self, path: Path, ledger: _Ledger, anchored: Anchored | None) -> None:
        self.path = path
        self.ledger = ledger
        self.findings: list[str] = []
        self.stream: str | None = None
        self.number = 0
        self.tail_bytes = 0
        self.closed = False
        # By the name of the file, not by what is in it: the first line may be the one that was changed.
        self.anchors = None if anchored is None else anchored.reader(path.stem.rpartition("-")[2])
        self._prev = FIRST_PREV
        self._seq = 0

    def broken(self, what: str) -> None:
        if len(self.findings) < _KEPT:
            self.findings.append(f"line {self.number}: {what}")

    def take(self, line: bytes) -> None:
        if self.tail_bytes:  # the line before was cut by its length, not by the end of the file
            self.broken("longer than any record")
            self.tail_bytes = 0
        if self.closed:
            self.broken("something after the close record")
        self.number += 1
        if not line.endswith(b"\n"):
            self.number -= 1
            self.tail_bytes = len(line)
            return
        line = line[:-1]
        if self.anchors is not None:
            self.anchors.add(line)
        try:
            record = parse(line)
        except Malformed as error:
            self.broken(str(error))
            self._prev = sha256(line).hexdigest()
            self._seq += 1
            return
        self._check_chain(record)
        self._prev = sha256(line).hexdigest()
        wrong = _wrong_form(record)
        if wrong is not None:
            self.broken(wrong)
            return
        self._check_stage(record)

    def _check_chain(self, record: dict[str, Any]) -> None:
        if record.get("prev") != self._prev:
            self.broken("prev is not the SHA-256 of the line before: one of the two was changed, or one between removed")
        seq = record.get("seq")
        if type(seq) is not int or seq != self._seq:
            self.broken(f"seq is not {self._seq}")
        self._seq = (seq if type(seq) is int else self._seq) + 1

    def _check_stage(self, record: dict[str, Any]) -> None:
        stream, stage = record["stream"], record["stage"]
        if self.number == 1:
            self.stream = stream
            if stage != "genesis":
                self.broken("the stream does not begin with its genesis record")
            if not self.path.name.endswith(f"-{stream}.jsonl"):
                self.broken("the file is not named after its stream")
            if stream in self.ledger.streams:
                self.broken("another file holds this stream too")
            self.ledger.streams.add(stream)
        elif stage == "genesis":
            self.broken("a second genesis record")
        if stream != self.stream:
            self.broken("a record of another stream")
        if stage == "close":
            self.closed = True
            if record.get("records") != self.number:
                self.broken("the close record counts other records than there are")
        self.ledger.add(record, _Place(stream, record["seq"], record["event_id"], record.get("result", "")))


def _wrong_form(record: dict[str, Any]) -> str | None:
    """What a record lacks that verification leans on; None if nothing."""
    if type(record.get("schema_version")) is not int or record["schema_version"] != SCHEMA_VERSION:
        return "an unknown schema_version"
    if record.get("stage") not in STAGES:
        return "an unknown stage"
    if type(record.get("seq")) is not int or not 0 <= record["seq"] < 2**53:
        return "seq is no record number"
    if not (_is(record.get("stream"), _ID) and _is(record.get("event_id"), _ID) and _is(record.get("ts"), _TIME)):
        return "stream, event_id or ts has another form"
    if record["stage"] in {"intent", "outcome"} and not _is(record.get("send_id"), _ID):
        return "send_id has another form"
    if record["stage"] == "outcome" and record.get("result") not in RESULTS:
        return "an unknown result"
    if "counted" in record and not _is_counted(record["counted"]):
        return "counted has another form"
    return None


def _is(value: object, form: re.Pattern[str]) -> bool:
    return isinstance(value, str) and form.fullmatch(value) is not None


def _is_counted(value: object) -> bool:
    return isinstance(value, list) and all(
        isinstance(one, dict) and type(one.get("count")) is int and 0 < one["count"] < 2**53 for one in value
    )


def _verify_file(path: Path, ledger: _Ledger, anchored: Anchored | None) -> StreamReport:
    reading = _Reading(path, ledger, anchored)
    try:
        for line in lines(path):
            reading.take(line)
    except OSError:
        state = "unreadable"
    else:
        if reading.tail_bytes >= LINE_BYTES:
            reading.broken("longer than any record")
        if reading.tail_bytes:
            state = "torn"
        elif not reading.number:
            state = "empty"
        else:
            state = "closed" if reading.closed else "unclosed"
    anchors = reading.anchors
    if anchors is not None and anchors.changed is not None:
        reading.broken(f"the first {anchors.changed} records are not those that were anchored")
    if anchors is not None and anchors.size > reading.number:
        ledger.cut.append(f"{path.name}: {anchors.size} records are anchored, and only {reading.number} are here")
    return StreamReport(
        file=path.name,
        stream=reading.stream,
        state=state,
        records=reading.number,
        tail_bytes=reading.tail_bytes,
        unanchored=None if anchors is None else max(0, reading.number - anchors.size),
        findings=tuple(reading.findings),
    )
