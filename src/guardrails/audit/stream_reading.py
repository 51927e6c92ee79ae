"""
One file, line by line: whether it is the stream that it says, and what it says about others.

The loop at the end of this file runs for each record of a log: what it can decide by a pattern and a hash, it decides itself;
everything else, and everything that is wrong, goes to `_Reading.slowly`.
"""

from __future__ import annotations

import gzip
import zlib
from collections import Counter
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import IO, Any, Final

from guardrails.audit.anchored import StreamAnchors
from guardrails.audit.finding import Finding
from guardrails.audit.folder import stream_of
from guardrails.audit.matching import Matching
from guardrails.audit.reading import LINE_BYTES, Malformed, seconds_of, source
from guardrails.audit.said import Claim, FileResult, Tombstone
from guardrails.audit.sends import MOST_LOOSE, Loose, Place, Sends
from guardrails.audit.stages import FIRST_PREV
from guardrails.core.control import RESULTS

_KEPT: Final = 1_000  # findings of one file
_BLOCK_BYTES: Final = 65_536  # what stays in a processor's cache while it is looked at
_REFUSED: Final = 10_000  # refusals of one stream whose sends are remembered
_FEW_SECONDS: Final = 10.0
_OUTCOMES: Final = frozenset((b"d", b"e"))  # the first letter of an outcome's first field


class _Reading:
    """The state of a file that is being read."""

    def __init__(self, path: Path, spill: Path | None, anchors: StreamAnchors | None, claims: list[Claim]) -> None:
        self.matching = Matching()
        self.result = FileResult(path.name, Sends(spill, path.name[:80]))
        self.named_stream = stream_of(path.name)  # by its name: the first line may be the one that was changed
        self.anchors = anchors
        self.claims = sorted(claims, key=lambda claim: claim.records)
        self.number = 0  # of complete lines so far
        self.seq = 0
        self.prev = FIRST_PREV.encode()
        self.closed = False
        self.checkpoint_seconds = 0
        self.signed_at = 0.0
        self.last_ts = ""
        self.results: dict[bytes, int] = dict.fromkeys(map(str.encode, RESULTS), 0)

    def find(self, verdict: str, code: str, what: str, *, line: int | None = None) -> None:
        if len(self.result.findings) < _KEPT:
            self.result.findings.append(self._finding(verdict, code, what, line=line))

    def _finding(self, verdict: str, code: str, what: str, *, line: int | None = None) -> Finding:
        result = self.result
        at = self.number if line is None else line
        text = f"{result.name}: line {at}: {what}"
        stream = result.stream or self.named_stream
        return Finding(text, verdict=verdict, code=code, file=result.name, stream=stream, seq=self.seq, line=at)

    def broken(self, code: str, what: str) -> None:
        self.find("integrity", code, what)

    # -- line by line

    def slowly(self, line: bytes) -> None:
        """One line, with everything that can be wrong about it."""
        self.number += 1
        if self.closed:
            self.broken("after-close", "something after the close record")
        try:
            record, fault = self.matching.record(line)
        except Malformed as error:
            self.broken("not-canonical", "longer than any record" if len(line) >= LINE_BYTES else str(error))
            record, fault = {}, ""
        else:
            self._check_chain(record)
            if fault is not None:
                self.broken("wrong-form", fault)
        self.prev = sha256(line).hexdigest().encode()
        if fault is None:
            self._check_stage(record)
        self.seq += 1

    def _check_chain(self, record: dict[str, Any]) -> None:
        if record.get("prev") != self.prev.decode():
            self.broken(
                "chain-broken",
                "prev is not the SHA-256 of the line before: one of the two was changed, or one between removed",
            )
        seq = record.get("seq")
        if type(seq) is not int or seq != self.seq:
            self.broken("seq-gap", f"seq is not {self.seq}")
        self.seq = seq if type(seq) is int and 0 <= seq < 2**53 else self.seq

    def _check_stage(self, record: dict[str, Any]) -> None:
        stream, stage = record["stream"], record["stage"]
        result = self.result
        result.by_stage[stage] = result.by_stage.get(stage, 0) + 1
        if self.number == 1:
            result.stream = stream
            if stage != "genesis":
                self.broken("no-genesis", "the stream does not begin with its genesis record")
            if stream != self.named_stream:
                self.broken("wrong-name", "the file is not named after its stream")
        elif stage == "genesis":
            self.broken("second-genesis", "a second genesis record")
        if stream != result.stream:
            self.broken("another-stream", "a record of another stream")
        self.last_ts = record["ts"]
        getattr(self, f"_on_{stage}")(record)

    def _place(self) -> Place:
        return Place(self.result.name, self.result.stream or self.named_stream, self.seq, self.number)

    def _on_genesis(self, record: dict[str, Any]) -> None:
        seconds = record["config"].get("checkpoint_seconds")
        self.checkpoint_seconds = seconds if type(seconds) is int else 0
        self.signed_at = seconds_of(record["ts"])
        previous = record.get("previous_stream")
        self.result.named += [*([previous] if previous else []), *record.get("streams_before", ())]

    def _on_config(self, record: dict[str, Any]) -> None:
        """Says nothing that could be wrong."""

    def _on_review(self, record: dict[str, Any]) -> None:
        """Says nothing that could be wrong."""

    def _on_canary(self, record: dict[str, Any]) -> None:
        """Says nothing that could be wrong."""

    def _on_decision(self, record: dict[str, Any]) -> None:
        sends = self.result.sends
        counted = record.get("counted", ())
        sends.decisions += sum(one["count"] for one in counted) if counted else 1
        send = record.get("send_id")
        if send is not None and record["decision"] in {"deny", "defer"}:
            if send.encode() in sends.waiting:
                self.find("semantics", "sent-and-refused", f"a refusal of send {send}, which has an intent")
            sends.refused[send.encode()] = self._place()
            if len(sends.refused) > _REFUSED:
                del sends.refused[next(iter(sends.refused))]

    def _on_intent(self, record: dict[str, Any]) -> None:
        self.intent(record["send_id"].encode())

    def _on_outcome(self, record: dict[str, Any]) -> None:
        send = record["send_id"].encode()
        sends = self.result.sends
        self.results[record["result"].encode()] += 1
        if sends.waiting.pop(send, None) is not None:
            sends.settled.append(send)
        elif len(sends.loose) < MOST_LOOSE:
            began = seconds_of(record["ts"]) - record["duration_us"] / 1e6
            sends.loose.append(Loose(record["send_id"], record["result"], record["event_id"], self._place(), began))
        else:
            sends.omitted += 1

    def _on_checkpoint(self, record: dict[str, Any]) -> None:
        self._signed(record)

    def _on_tombstone(self, record: dict[str, Any]) -> None:
        named = {name: record[name] for name in ("records", "root", "ended", "retain_days", "ts")}
        self.result.tombstones.append(Tombstone(stream=record["expired_stream"], at=self._place(), **named))

    def _on_close(self, record: dict[str, Any]) -> None:
        self.closed = True
        if record["records"] != self.number:
            self.broken("wrong-count", "the close record counts other records than there are")
        if "previous_note" in record:
            self._signed(record)

    def _signed(self, record: dict[str, Any]) -> None:
        """A record that a checkpoint covers last: when it was, and which note it names."""
        now = seconds_of(record["ts"])
        self._punctual(now)
        self.signed_at = max(self.signed_at, now)
        anchors = self.anchors
        if anchors is not None and anchors.size and not anchors.has_note(record["previous_note"]):
            # A writer may have anchored it since the anchor was read: whoever reads it again decides.
            what = "the checkpoint that it names as the one before is not in the anchor"
            if len(self.result.unknown_notes) < _KEPT:
                unknown = record["previous_note"], self._finding("completeness", "note-missing", what)
                self.result.unknown_notes.append(unknown)

    def _punctual(self, now: float) -> None:
        late = now - self.signed_at - 2 * self.checkpoint_seconds - _FEW_SECONDS
        if self.checkpoint_seconds and late > 0:
            self.find(
                "liveness",
                "silent",
                f"no checkpoint for {int(now - self.signed_at)} s; one is due every {self.checkpoint_seconds} s",
            )

    def intent(self, send: bytes) -> None:
        sends = self.result.sends
        sends.intents += 1
        if send in sends.waiting:
            self.find("semantics", "second-intent", f"a second intent of send {send.decode()}")
        elif send in sends.refused:
            self.find("semantics", "sent-and-refused", f"an intent of send {send.decode()}, which was refused")
        if len(sends.waiting) < MOST_LOOSE:
            sends.waiting[send] = self.number
        else:
            sends.omitted += 1

    # -- the whole file

    def read(self, path: Path) -> None:
        result = self.result
        try:
            with source(path) as file:
                for lines in self._blocks(file):
                    if self.anchors is not None:
                        self.anchors.add(lines)
                    self._take(lines)
                self._claims_held()
        except (EOFError, zlib.error, gzip.BadGzipFile):
            self.broken("damaged", "the compressed file is not what was compressed")
            result.state = "torn"
        except FileNotFoundError:
            result.state, result.is_gone = "unreadable", True
        except OSError:
            result.state = "unreadable"
        else:
            result.state = self._state()
        result.records = self.number
        self._end()

    def _state(self) -> str:
        if self.result.tail_bytes:
            return "torn"
        if not self.number:
            return "empty"
        return "closed" if self.closed else "unclosed"

    def _blocks(self, file: IO[bytes]) -> Iterator[list[bytes]]:
        """Complete lines without their newlines, block by block, whatever their length."""
        rest = b""
        while block := file.read(_BLOCK_BYTES):
            if len(rest) > LINE_BYTES:  # what can be no line is not kept: only its last bytes, to see where it ends
                rest = rest[:1] * LINE_BYTES
            *lines, rest = (rest + block).split(b"\n")
            yield lines
        if rest:
            self.result.tail_bytes = len(rest)
            if self.closed:
                self.find("integrity", "after-close", "something after the close record", line=self.number + 1)
            if len(rest) >= LINE_BYTES:
                self.find("integrity", "too-long", "longer than any record", line=self.number + 1)

    def _end(self) -> None:
        result, anchors = self.result, self.anchors
        result.sends.results = Counter({name.decode(): count for name, count in self.results.items() if count})
        for claim in self.claims:
            if claim.records > self.number and result.state != "unreadable":
                what = f"{claim.records} records were accepted, says stream {claim.by}, and only {self.number} are here"
                self.find("completeness", "cut-short", what)
        if anchors is None:
            return
        if anchors.changed is not None:
            self.find("integrity", "rewritten", f"the first {anchors.changed} records are not those that were anchored")
        if anchors.size > self.number:
            what = f"{anchors.size} records are anchored, and only {self.number} are here"
            self.find("completeness", "cut-short", what)
        result.unanchored = max(0, self.number - anchors.size)

    def _take(self, lines: list[bytes]) -> None:
        """The loop."""
        sends = self.result.sends
        waiting, refused, results, hashed = sends.waiting, sends.refused, self.results, sha256
        sends.trim()
        settled = sends.settled.append
        source = iter(lines)
        while True:
            intent, outcome = (pattern.fullmatch for pattern in self.matching.patterns)
            # Before its genesis record, and after its close record, a stream has no line that a pattern may take.
            stream = b"" if self.closed or self.result.stream is None else self.result.stream.encode()
            number, seq, prev, intents = self.number, self.seq, self.prev, sends.intents
            claimed_at = self.claims[0].records if self.claims else -1
            slow = None
            for line in source:
                if number == claimed_at:
                    slow = line
                    break
                if line[2:3] in _OUTCOMES:
                    match = outcome(line)
                    if match is not None:
                        said, result, send, numbered, named = match.groups()
                        if said == prev and named == stream and int(numbered) == seq and waiting.pop(send, 0):
                            results[result] += 1
                            settled(send)
                            number += 1
                            seq += 1
                            prev = hashed(line).hexdigest().encode()
                            continue
                else:
                    match = intent(line)
                    if match is not None:
                        said, send, numbered, named = match.groups()
                        if (
                            said == prev
                            and named == stream
                            and int(numbered) == seq
                            and send not in waiting
                            and send not in refused
                        ):
                            intents += 1
                            number += 1
                            waiting[send] = number
                            seq += 1
                            prev = hashed(line).hexdigest().encode()
                            continue
                slow = line
                break
            self.number, self.seq, self.prev, sends.intents = number, seq, prev, intents
            if slow is None:
                return
            self._claims_held()
            self.slowly(slow)

    def _claims_held(self) -> None:
        """Whether the records so far are those that later streams say there were."""
        while self.claims and self.claims[0].records <= self.number:
            claim = self.claims.pop(0)
            if claim.records == self.number and claim.head != self.prev.decode():
                self.broken(
                    "rewritten", f"the first {claim.records} records are not those that stream {claim.by} came after"
                )


def read_file(path: Path, spill: Path | None, anchors: StreamAnchors | None, claims: list[Claim]) -> FileResult:
    """
    Everything that the file *path* says.

    Args:
        path: Of the file.
        spill: A folder for what does not fit into memory; None where all of it does.
        anchors: What is anchored of its stream; None when no anchor was asked.
        claims: What other streams say about it.
    """
    reading = _Reading(path, spill, anchors, claims)
    reading.read(path)
    return reading.result
