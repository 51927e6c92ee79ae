"""
Records as a table, CSV or JSON Lines. No field can leave its cell: not for a terminal, not for a spreadsheet.

Source: OWASP, "CSV Injection": cells that begin with = + - @, a tab or a carriage return are run as formulas.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from guardrails.audit.report import printable
from guardrails.reports.query import entities, objects, policy, recipients, whole

FORMATS: Final = ("table", "jsonl", "csv")
# Column and its width in the table; 0: only in CSV.
_COLUMNS: Final = {
    "ts": 27,
    "stage": 8,
    "channel": 8,
    "tenant": 14,
    "conversation": 16,
    "result": 10,
    "control": 16,
    "entities": 28,
    "recipient": 20,
    "send_id": 32,
    "deny_code": 0,
    "reason": 0,
    "error_type": 0,
    "operation": 0,
    "policy": 0,
    "guard_us": 0,
    "duration_us": 0,
    "stream": 0,
    "seq": 0,
}
_SHOWN: Final = tuple((name, width) for name, width in _COLUMNS.items() if width)
_FORMULA: Final = tuple("=+-@\t\r")
_WIDEST: Final = 60  # characters of a cell of a table of any rows


def rendered(records: Iterable[Mapping[str, Any]], form: str) -> Iterator[str]:
    """
    Lines without their ends, as the records come.

    Args:
        records: From `select`.
        form: One of `FORMATS`.
    """
    if form == "jsonl":
        for record in records:  # ASCII: every control character is an escape
            yield json.dumps(record, sort_keys=True, separators=(",", ":"))
    elif form == "csv":
        yield ",".join(_COLUMNS)
        for record in records:
            row = row_of(record)
            yield csv_line(row[name] for name in _COLUMNS)
    else:
        yield _padded(*zip(*_SHOWN, strict=True))
        for record in records:
            row = row_of(record)
            yield _padded([row[name] for name, _ in _SHOWN], [width for _, width in _SHOWN])


def table(names: Sequence[str], rows: Sequence[Sequence[object]], form: str) -> Iterator[str]:
    """
    The same for rows of any columns.

    Args:
        names: Of the columns.
        rows: Values, in the order of *names*.
        form: One of `FORMATS`.
    """
    if form == "jsonl":
        for row in rows:
            yield json.dumps(dict(zip(names, map(_plain, row), strict=True)), separators=(",", ":"))
        return
    cells = [[_word(value) for value in row] for row in rows]
    if form == "csv":
        yield from map(csv_line, (names, *cells))
        return
    lengths = zip(*([len(printable(cell)) for cell in row] for row in (names, *cells)), strict=True)
    widths = [min(_WIDEST, max(column)) for column in lengths]
    yield from (_padded(row, widths) for row in (names, *cells))


def csv_line(cells: Iterable[object]) -> str:
    """One line of CSV that no spreadsheet runs."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([_cell(str(cell)) for cell in cells])
    return line.getvalue()


def row_of(record: Mapping[str, Any]) -> dict[str, object]:
    """A record in one row: what CSV and tables show of it."""
    guards = objects(record, "guards")
    return {name: "" if record.get(name) is None else record[name] for name in _COLUMNS} | {
        "result": record.get("result") or record.get("decision") or "",
        "entities": " ".join(f"{kind}:{count}" for kind, count in sorted(entities(record).items())),
        "recipient": " ".join(digest.rpartition(":")[2] for digest in recipients(record)),
        "policy": policy(record) or "",
        "guard_us": sum(whole(one, "duration_us") for one in guards) if guards else "",
    }


def _cell(text: str) -> str:
    text = printable(text)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text


def _padded(cells: Sequence[object], widths: Sequence[int]) -> str:
    cut = [
        (text if len(text) <= width else text[: width - 2] + "..").ljust(width)
        for text, width in zip((printable(str(cell)) for cell in cells), widths, strict=True)
    ]
    return "  ".join(cut).rstrip()


def _plain(value: object) -> object:
    """A value of a column as JSON has it."""
    match value:
        case None | bool() | int() | float() | str():
            return value
        case datetime():
            return f"{value:%Y-%m-%dT%H:%M:%S.%f}Z"
        case dict():
            return {str(key): _plain(one) for key, one in value.items()}
        case list() | tuple():
            return [_plain(one) for one in value]
        case _:
            return str(value)


def _word(value: object) -> str:
    value = _plain(value)
    if value is None:
        return ""
    return value if isinstance(value, str) else json.dumps(value)
