"""
Is a record really there?

Read back from the files, by other means than the writer's: found by its id, in canonical form, and chained to the record
before it.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from guardrails.audit.folder import SUFFIX
from guardrails.audit.reading import Malformed, files, parse

_TAIL_BYTES: Final = 4 * 1_048_576
_MISSING: Final = "there is no record of it"
_NEWEST: Final = 16  # files; other processes may write to the same folder


def evidence(record_control: Any, send_id: str) -> str | None:
    """
    What is wrong with the record of *send_id*.

    Returns:
        Empty when the record is there and chained; None when the log does not lie in files that can be read here.
    """
    folders, least = _holders(record_control)
    if not folders:
        return None
    found = [_in_folder(folder, send_id) for folder in folders]
    wrong = next((one for one in found if one not in ("", _MISSING)), None)
    if wrong is not None:
        return wrong
    there = found.count("")
    if there < least:
        return _MISSING
    return "" if there else None  # another sink has it


def _holders(record_control: Any) -> tuple[Sequence[Path], int]:
    """Folders of a log, and in how many of them a record has to be."""
    holders: tuple[Sequence[Path], int] | None = getattr(record_control, "holders", None)
    if holders is not None:
        return holders
    folder = getattr(record_control, "folder", None)
    return ((), 0) if folder is None else ((folder,), 1)


def _in_folder(folder: Path, send_id: str) -> str:
    wanted = f'"{send_id}"'.encode()
    try:
        for path in newest(folder):
            lines = tail(path)
            for number, line in enumerate(lines):
                if wanted in line:
                    return _chained(lines[number - 1] if number else None, line)
    except OSError as error:
        return f"its files cannot be read ({type(error).__name__})"
    return _MISSING


def newest(folder: Path) -> list[Path]:
    """
    The plain log files of *folder* that were written to last, the newest first.

    Raises:
        OSError: It cannot be read.
    """
    plain = [path for path in files(folder) if path.name.endswith(SUFFIX)]
    return sorted(plain, key=_written, reverse=True)[:_NEWEST]


def _written(path: Path) -> float:
    try:
        return path.stat().st_mtime
    except FileNotFoundError:  # compressed or removed meanwhile
        return 0.0


def tail(path: Path) -> list[bytes]:
    """
    The last complete lines, without newlines.

    Raises:
        OSError: It cannot be read.
    """
    with path.open("rb") as file:
        size = file.seek(0, os.SEEK_END)
        file.seek(max(0, size - _TAIL_BYTES))
        lines = file.read(_TAIL_BYTES).split(b"\n")
    return lines[1:-1] if size > _TAIL_BYTES else lines[:-1]


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
