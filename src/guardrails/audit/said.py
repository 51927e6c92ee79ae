"""What one file of a log says of itself, of sends and of other streams: plain values, for `verify`."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from guardrails.audit.finding import Finding
    from guardrails.audit.sends import Place, Sends


@dataclass(frozen=True, slots=True, kw_only=True)
class Claim:
    """What the next stream says about this one: that it had so many records, with this hash at their end."""

    by: str
    records: int
    head: str


@dataclass(frozen=True, slots=True, kw_only=True)
class Tombstone:
    """That a stream was removed, and what it held."""

    stream: str
    records: int
    root: str
    ended: str
    retain_days: int
    ts: str
    at: Place


@dataclass(slots=True)
class FileResult:
    """
    Everything that one file says.

    Args:
        name: The file's.
        sends: What it says about sends.
        stream: Its id, if its first record says one.
        state: "closed", "unclosed", "torn" (the last line is incomplete), "empty" or "unreadable".
        records: Complete lines.
        tail_bytes: Bytes of an incomplete last line.
        findings: What is wrong with it.
        tombstones: Streams that it says were removed.
        named: Streams that it says there are.
        unanchored: Records after the newest checkpoint; None when no anchor was asked.
        unknown_notes: Checkpoints that it names and the anchor did not hold when it was read, and what to find then.
        is_gone: Whether it was removed since it was listed.
    """

    name: str
    sends: Sends
    stream: str | None = None
    state: str = "empty"
    records: int = 0
    tail_bytes: int = 0
    findings: list[Finding] = field(default_factory=list)
    tombstones: list[Tombstone] = field(default_factory=list)
    named: list[str] = field(default_factory=list)
    unanchored: int | None = None
    unknown_notes: list[tuple[str, Finding]] = field(default_factory=list)
    is_gone: bool = False
    by_stage: dict[str, int] = field(default_factory=dict)
