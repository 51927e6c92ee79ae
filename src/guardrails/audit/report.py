"""What verification found, as frozen values and as lines for a terminal."""

from __future__ import annotations

import os
from dataclasses import dataclass
from itertools import chain
from typing import Any, Final

from guardrails.audit.finding import VERDICTS, Finding

HOLDS: Final = 0
BROKEN: Final = 1
UNUSABLE: Final = 2
OPEN: Final = 3
_SHOWN: Final = 20  # findings of one kind


def printable(text: str) -> str:
    """*text* with nothing in it that a terminal would obey."""
    return "".join(one if " " <= one <= "~" else one.encode("unicode_escape").decode("ascii") for one in text)


@dataclass(frozen=True, slots=True, kw_only=True)
class StreamReport:
    """
    One file.

    Args:
        file: Its name.
        stream: Its stream id, if the first record says one.
        state: "closed", "unclosed", "torn" (the last line is incomplete), "empty" or "unreadable".
        records: Complete lines.
        tail_bytes: Bytes of an incomplete last line.
        unanchored: Complete lines after the newest checkpoint; None when no anchor was asked.
        findings: What breaks its integrity.
    """

    file: str
    stream: str | None
    state: str
    records: int = 0
    tail_bytes: int = 0
    unanchored: int | None = None
    findings: tuple[Finding, ...] = ()


@dataclass(frozen=True, slots=True, kw_only=True)
class Report:
    """
    One directory.

    Args:
        folder: As it was given.
        streams: By file, oldest first.
        authenticity: Notes in the anchor that no trusted key has signed, or that differ.
        completeness: Streams that are missing or were removed early, or hold less than was accepted or anchored.
        liveness: Times without the checkpoints that were promised.
        semantics: Records that contradict each other.
        expired: Streams that were removed in their time; their tombstones are on record.
        intents: Sends whose intent is on record.
        outcomes: How many of them ended how.
        decisions: Refusals, those that were counted together included.
        unknown_outcomes: Intents without outcome: the send may or may not have happened.
        anchored: Whether an anchor was asked.
        anchor_in_reach: Whether whoever owns the log could change that anchor.
        problem: Why nothing could be verified; None when something was.
    """

    folder: str
    streams: tuple[StreamReport, ...] = ()
    authenticity: tuple[Finding, ...] = ()
    completeness: tuple[Finding, ...] = ()
    liveness: tuple[Finding, ...] = ()
    semantics: tuple[Finding, ...] = ()
    expired: tuple[str, ...] = ()
    intents: int = 0
    outcomes: tuple[tuple[str, int], ...] = ()
    decisions: int = 0
    unknown_outcomes: int = 0
    anchored: bool = False
    anchor_in_reach: bool = False
    problem: str | None = None

    @property
    def integrity(self) -> tuple[Finding, ...]:
        """What breaks the chain or the form of a record."""
        return tuple(chain.from_iterable(stream.findings for stream in self.streams))

    @property
    def exit_code(self) -> int:
        """0 all verdicts hold; 1 broken; 2 unusable, unreadable or no stream; 3 intact but open."""
        if self.integrity or self.authenticity or self.completeness or self.semantics:
            return BROKEN
        states = {stream.state for stream in self.streams}
        if self.problem is not None or not states or "unreadable" in states:
            return UNUSABLE
        covered = not any(stream.unanchored for stream in self.streams)
        return HOLDS if states == {"closed"} and covered and not self.liveness else OPEN

    def as_dict(self) -> dict[str, Any]:
        """The whole report for JSON."""
        found = {verdict: [one.as_dict() for one in getattr(self, verdict)] for verdict in VERDICTS}
        return {
            "schema_version": 1,
            "folder": self.folder,
            "exit_code": self.exit_code,
            "problem": self.problem,
            "anchored": self.anchored,
            "anchor_in_reach": self.anchor_in_reach,
            **{verdict: [str(one) for one in getattr(self, verdict)] for verdict in VERDICTS},
            "verdicts": {
                verdict: {
                    "ok": None if verdict == "authenticity" and not self.anchored else not found[verdict],
                    "findings": found[verdict],
                }
                for verdict in VERDICTS
            },
            "streams": [
                {
                    "file": one.file,
                    "stream": one.stream,
                    "state": one.state,
                    "records": one.records,
                    "tail_bytes": one.tail_bytes,
                    "unanchored": one.unanchored,
                }
                for one in self.streams
            ],
            "expired": list(self.expired),
            "intents": self.intents,
            "outcomes": dict(self.outcomes),
            "decisions": self.decisions,
            "unknown_outcomes": self.unknown_outcomes,
        }

    def lines(self) -> tuple[str, ...]:
        """The report for people: printable ASCII, whatever the files hold."""
        return tuple(map(printable, self._said()))

    def _said(self) -> list[str]:
        if self.problem is not None:
            return [f"{self.folder}: {self.problem}"]
        said = [f"{one.file}: {_state(one)}" for one in self.streams]
        said += _verdict("integrity", self.integrity)
        if self.anchored:
            said += _verdict("authenticity", self.authenticity)
        said += _verdict("completeness", self.completeness)
        said += _verdict("liveness", self.liveness)
        said += _verdict("semantics", self.semantics)
        ended = ", ".join(f"{count} {result}" for result, count in self.outcomes)
        said.append(f"{self.intents} intents{': ' + ended if ended else ''}; {self.decisions} refusals")
        if self.unknown_outcomes:
            said.append(f"{self.unknown_outcomes} intents without an outcome: nobody can say whether these were sent")
        if self.expired:
            said.append(f"{len(self.expired)} streams are expired: removed in their time, with tombstones on record")
        if self.anchor_in_reach:
            said.append("the anchor can be changed by the user who owns the log: it shows accidents, not attacks")
        said.append(
            f"anchored: {sum(one.unanchored or 0 for one in self.streams)} records lie after the newest checkpoints"
            if self.anchored
            else "unanchored: changes to the last record of a stream, and streams cut short or removed whole, may go unseen"
        )
        said.append(_LAST[self.exit_code])
        return said


_LAST: Final = {
    HOLDS: "all verdicts hold",
    BROKEN: "BROKEN",
    UNUSABLE: "not all of it could be read",
    OPEN: "intact, but open: a writer is still at it, or ended without closing",
}


def unusable(folder: str | os.PathLike[str], problem: str) -> Report:
    """A report about nothing."""
    return Report(folder=os.fsdecode(folder), problem=problem)


def _state(one: StreamReport) -> str:
    tail = f", {one.tail_bytes} bytes of an incomplete line" if one.tail_bytes else ""
    return f"{one.records} records, {one.state}{tail}"


def _verdict(name: str, findings: tuple[Finding, ...]) -> list[str]:
    if not findings:
        return [f"{name}: ok"]
    more = [f"  ... and {len(findings) - _SHOWN} more"] if len(findings) > _SHOWN else []
    return [f"{name}: BROKEN", *(f"  {finding}" for finding in findings[:_SHOWN]), *more]
