"""
Is a record really there?

Read back from where the sinks store it, by other means than the writer's: found by its id, in canonical form, and chained to
the record before it. What cannot be read back is said, never taken for granted.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from guardrails.audit.files import JsonlDirectory
from guardrails.audit.reading import Malformed, parse
from guardrails.audit.sink import Readable, Sink

_WINDOWS: Final = (64, 8_192)  # lines from the end of a stream; the second only where the first does not hold it
_MISSING: Final = "there is no record of it"


@dataclass(frozen=True, slots=True)
class Evidence:
    """
    What became of looking for a record.

    Args:
        problem: What is wrong; empty where nothing is.
        read: Sinks in which it was found.
        unread: Sinks that cannot be read back, though they should hold it.
    """

    problem: str
    read: tuple[str, ...] = ()
    unread: tuple[str, ...] = ()

    @property
    def why(self) -> str:
        """In words."""
        if self.problem or not self.unread:
            return self.problem
        found = f"read back from {', '.join(self.read)}; " if self.read else ""
        return f"{found}not read back from {', '.join(self.unread)}: a sink has to be Readable for that"


def evidence(record_control: Any, send_id: str) -> Evidence:
    """Look for the record of *send_id* in the sinks of *record_control*."""
    holders, least = _holders(record_control)
    there, unread, missing = [], [], []
    for sink in holders:
        name = type(sink).__name__
        if not isinstance(sink, Readable):
            unread.append(name)
            continue
        try:
            problem = _in_sink(sink, send_id)
        except Exception as error:  # noqa: BLE001 - a sink of somebody's; its text may hold anything
            missing.append(f"the records of {name} cannot be read ({type(error).__name__})")
            continue
        if problem is None:
            missing.append(_MISSING)
        elif problem:
            return Evidence(problem)
        else:
            there.append(name)
    if len(there) + len(unread) < least:
        return Evidence(max(missing))
    # Where enough have it, one that cannot be read is not needed.
    return Evidence("", tuple(there), () if there and len(there) >= least else tuple(unread) or ("its log",))


def _holders(record_control: Any) -> tuple[Sequence[Sink], int]:
    """Sinks of a log, and in how many of them a record has to be."""
    holders: tuple[Sequence[Sink], int] | None = getattr(record_control, "holders", None)
    if holders is not None:
        return holders
    folder = getattr(record_control, "folder", None)
    return ((), 0) if folder is None else ((JsonlDirectory(folder),), 1)


def _in_sink(sink: Readable, send_id: str) -> str | None:
    """What is wrong with the record; None where it is not there."""
    wanted = f'"{send_id}"'.encode()
    for most in _WINDOWS:
        for lines in sink.tails(most):
            found = _in_lines(lines, wanted, is_cut=len(lines) >= most)
            if found is not None:
                return found
    return None


def _in_lines(lines: Sequence[bytes], wanted: bytes, *, is_cut: bool) -> str | None:
    """What is wrong with the record; None where it is not among *lines*, or the one before it is not."""
    for number, line in enumerate(lines):
        if wanted in line:
            return None if is_cut and not number else _chained(lines[number - 1] if number else None, line)
    return None


def _chained(before: bytes | None, line: bytes) -> str:
    try:
        record = parse(line)
    except Malformed as error:
        return f"its record is {error}"
    if before is None:
        return "" if record.get("seq") == 0 else "the record before it is missing"
    if record.get("prev") != sha256(before).hexdigest():
        return "its record is not chained to the record before"
    return ""
