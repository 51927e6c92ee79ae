"""
Records as a table, CSV or JSON Lines. No field can leave its cell: not for a terminal, not for a spreadsheet.

Source: OWASP, "CSV Injection": cells that begin with = + - @, a tab or a carriage return are run as formulas.
"""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Mapping
from typing import Any, Final

from guardrails.audit.report import printable
from guardrails.reports.query import entities, objects

FORMATS: Final = ("table", "jsonl", "csv")
_COLUMNS: Final = (
    "ts",
    "stage",
    "channel",
    "tenant",
    "conversation",
    "result",
    "control",
    "entities",
    "recipient",
    "send_id",
)
_WIDTHS: Final = (27, 8, 8, 14, 14, 10, 16, 28, 20, 32)
_FORMULA: Final = tuple("=+-@\t\r")


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
            yield csv_line(_row(record))
    else:
        yield _padded(_COLUMNS)
        for record in records:
            yield _padded(_row(record))


def csv_line(cells: Iterable[object]) -> str:
    """One line of CSV that no spreadsheet runs."""
    line = io.StringIO()
    csv.writer(line, lineterminator="").writerow([_cell(str(cell)) for cell in cells])
    return line.getvalue()


def _cell(text: str) -> str:
    text = printable(text)
    return f"'{text}" if text.lstrip().startswith(_FORMULA) else text


def _padded(cells: Iterable[object]) -> str:
    cut = [
        (text if len(text) <= width else text[: width - 2] + "..").ljust(width)
        for text, width in zip((printable(str(cell)) for cell in cells), _WIDTHS, strict=True)
    ]
    return "  ".join(cut).rstrip()


def _row(record: Mapping[str, Any]) -> tuple[object, ...]:
    found = " ".join(f"{kind}:{count}" for kind, count in sorted(entities(record).items()))
    people = " ".join(str(one.get("digest", "")).rpartition(":")[2] for one in objects(record, "recipients"))
    ended = record.get("result") or record.get("decision") or ""
    plain = tuple(record.get(name) or "" for name in _COLUMNS[:5])
    return (*plain, ended, record.get("control") or "", found, people, record.get("send_id") or "")
