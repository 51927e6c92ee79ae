"""
Texts whose personal data is known: JSON lines, `{"text": "...", "spans": [[start, end, "TYPE"], ...]}`.

Offsets are code points. `NEUTRAL` marks what may be masked or not (an organisation, a date). Other members are ignored.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final, NamedTuple

NEUTRAL: Final = "NEUTRAL"


class GoldError(Exception):
    """The file cannot be used; says which line, and never what stands there."""


class Row(NamedTuple):
    """
    A text and its gold.

    Args:
        line: Its line in the file, from 1.
        text: The text.
        spans: Start, end and type of what is personal in it.
    """

    line: int
    text: str
    spans: tuple[tuple[int, int, str], ...]


def rows(path: Path) -> Iterator[Row]:
    """
    The rows of a file, in order; blank lines are none.

    Raises:
        GoldError: The file cannot be read, or a line has another form.
    """
    try:
        with path.open(encoding="utf-8") as lines:
            for number, line in enumerate(lines, start=1):
                if line.strip():
                    yield _row(number, line)
    except OSError as error:
        raise GoldError(f"{path} cannot be read: {error.strerror}") from None
    except UnicodeDecodeError:
        raise GoldError(f"{path} is no UTF-8 text") from None


def _row(number: int, line: str) -> Row:
    try:
        given = json.loads(line)
    except ValueError:
        given = None
    if not isinstance(given, dict) or not isinstance(given.get("text"), str) or not isinstance(given.get("spans"), list):
        raise GoldError(f'line {number} is not {{"text": "...", "spans": [[start, end, "TYPE"], ...]}}')
    text: str = given["text"]
    return Row(number, text, tuple(_span(one, len(text), number) for one in given["spans"]))


def _span(given: Any, length: int, number: int) -> tuple[int, int, str]:
    match given:
        case [int() as start, int() as end, str() as kind] if 0 <= start < end <= length:
            return start, end, kind
        case _:
            raise GoldError(
                f"line {number}: every span is [start, end, TYPE], in code points of the text, none of them empty"
            )
