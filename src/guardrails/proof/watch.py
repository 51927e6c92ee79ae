"""
`guardrails watch`: looks at an audit log from outside, and says what the guarded process cannot: that it is silent.

A canary inside a process is as dead as the process. Whoever watches needs nothing but the files (and an anchor's folder): no
key, no network, no part in the process.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

from guardrails.audit.notes import NOTE_SUFFIX
from guardrails.audit.reading import Malformed, parse
from guardrails.audit.sink import Readable
from guardrails.audit.tails import last_lines, last_written
from guardrails.core.health import LATE
from guardrails.proof.writers import Writers

_STREAMS: Final = 16  # files; several processes may write to one folder
_LINES: Final = 5_000  # of each stream of a database, from its end; about what is read of a file
_FUTURE_SECONDS: Final = 5.0  # clocks of two hosts


@dataclass(frozen=True, slots=True)
class Alarm:
    """
    Something that somebody has to look at.

    Args:
        kind: "unreadable", "no_stream", "writer_gone", "no_canary", "canary_failed", "no_checkpoint" or "clock".
        what: In our words.
    """

    kind: str
    what: str


@dataclass(slots=True)
class _Seen:
    """What the files say: the newest of each kind."""

    streams: int = 0
    canary: datetime | None = None
    rounds: dict[str, dict[str, Any]] = field(default_factory=dict)  # stream to its newest round
    checkpoint: datetime | None = None
    newest: datetime | None = None


def alarms(
    log: Path | Readable,
    *,
    canary_seconds: float | None,
    checkpoint_seconds: float | None,
    anchor: Path | None = None,
    writers: Writers | None = None,
    now: datetime,
) -> list[Alarm]:
    """
    What is wrong with a log.

    Args:
        log: Its folder, as given to `AuditLog`; or the sink that it is written to, such as `SqliteSink(path)`.
        canary_seconds: How often canaries are to come; None for never.
        checkpoint_seconds: How often checkpoints are to come; None for never.
        anchor: The folder of a `DirectoryAnchor`; without it checkpoints are looked for in the log.
        writers: Of the log, as they were seen before; without it nothing is said of them.
        now: The time.
    """
    try:
        gone = [] if writers is None else list(writers.gone())
        seen = _read(log)
        if anchor is not None:
            seen.checkpoint = _newest_note(anchor)
    except OSError as error:
        return [Alarm("unreadable", f"the log or the anchor cannot be read ({type(error).__name__})")]
    if not seen.streams:
        return [Alarm("no_stream", "there is no stream in the log")]
    died = [
        Alarm("writer_gone", f"the process that wrote stream {one[:8]} died or gave it up, and no other began since")
        for one in gone
    ]
    return [*died, *_late(seen, canary_seconds, checkpoint_seconds, now), *_failed(seen)]


def _late(seen: _Seen, canary_seconds: float | None, checkpoint_seconds: float | None, now: datetime) -> Iterator[Alarm]:
    for kind, what, last, every in (
        ("no_canary", "canary", seen.canary, canary_seconds),
        ("no_checkpoint", "checkpoint", seen.checkpoint, checkpoint_seconds),
    ):
        if every is None:
            continue
        if last is None:
            yield Alarm(kind, f"there is no {what}")
        elif (age := (now - last).total_seconds()) > LATE * every:
            yield Alarm(kind, f"the last {what} came {age:.0f} s ago, and one is due every {every:g} s")
    if seen.newest is not None and (seen.newest - now).total_seconds() > _FUTURE_SECONDS:
        yield Alarm("clock", "the newest record is from the future: one of two clocks is wrong")


def _failed(seen: _Seen) -> Iterator[Alarm]:
    for stream, record in sorted(seen.rounds.items()):
        if record.get("passed") is not True:
            failed = record.get("failed")
            named = ", ".join(map(str, failed)) if isinstance(failed, list) else "?"
            yield Alarm("canary_failed", f"the last canary of stream {stream[:8]} failed in {named}")


def _ends(log: Path | Readable) -> Iterator[Sequence[bytes]]:
    """The last lines of the streams that were written to last."""
    if isinstance(log, Path):
        yield from map(last_lines, last_written(log, _STREAMS))
        return
    try:
        yield from (lines for lines in log.tails(_LINES) if lines)
    except OSError:
        raise
    except Exception as error:  # noqa: BLE001 - a database may raise anything: it cannot be read
        problem = type(error).__name__
    else:
        return
    raise OSError(f"{log!r}: {problem}")


def _read(log: Path | Readable) -> _Seen:
    seen = _Seen()
    for lines in _ends(log):
        seen.streams += 1
        closed = False
        for line in reversed(lines):
            try:
                record = parse(line)
            except Malformed:
                continue
            when = _when(record.get("ts"))
            seen.newest = _later(seen.newest, when)
            stage, stream = record.get("stage"), str(record.get("stream"))
            closed = closed or stage == "close"
            if stage == "canary" and "passed" in record:
                seen.canary = _later(seen.canary, when)
                if not closed:  # a stream that was closed says nothing about what runs now
                    seen.rounds.setdefault(stream, record)
            elif stage == "checkpoint" or "previous_note" in record:
                seen.checkpoint = _later(seen.checkpoint, when)
            if stream in seen.rounds and seen.checkpoint is not None:
                break
    return seen


def _newest_note(anchor: Path) -> datetime | None:
    times = [path.stat().st_mtime for path in anchor.iterdir() if path.name.endswith(NOTE_SUFFIX)]
    return datetime.fromtimestamp(max(times), UTC) if times else None


def _later(one: datetime | None, other: datetime | None) -> datetime | None:
    if one is None or other is None:
        return one or other
    return max(one, other)


def _when(said: object) -> datetime | None:
    try:
        when = datetime.fromisoformat(str(said))
        return None if when.tzinfo is None else when.astimezone(UTC)
    except (ValueError, OverflowError):  # no time, or one outside of the calendar in UTC
        return None
