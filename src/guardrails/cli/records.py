"""
Records of a file, and the texts in them: lines, paragraphs, JSON Lines, CSV.

1. A record is read with everything that belongs to it, line ending too; one in which nothing changed is written byte for byte.
2. What cannot be read is a `BadRecordError` with the number of its line, never with its text. What is no UTF-8 at all ends the
   run: every record of it would pass as it is.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import BinaryIO, Final, Protocol

from guardrails.core.caps import Caps
from guardrails.core.codecs import decode, encode
from guardrails.core.payload import Place, Walk, put
from guardrails.core.selectors import Step, parse_selector
from guardrails.errors import ConfigError, Denied

FORMATS: Final = ("lines", "text", "jsonl", "csv")
_BY_SUFFIX: Final = {".jsonl": "jsonl", ".ndjson": "jsonl", ".csv": "csv", ".tsv": "csv"}
_LONGEST_RECORD: Final = 16 * 1024 * 1024  # bytes
_NUL_SHARE: Final = 8  # of so many bytes one is zero: in UTF-16 every second one of Latin letters, digits and signs is
_CAPS: Final = Caps(text_characters=_LONGEST_RECORD, parts=100_000, values=1_000_000)
_DELIMITERS: Final = (",", ";", "\t", "|")


class BadRecordError(Exception):
    """A record that is not what its format says; the message names the line."""


@dataclass(frozen=True, slots=True)
class Record:
    """
    One record as it stands in its file.

    Args:
        raw: Its text, line ending and all.
        line: Its first line, from 1.
        end: Bytes of the file up to its end.
    """

    raw: str = field(repr=False)
    line: int
    end: int


class Format(Protocol):
    """One way to read records."""

    @property
    def name(self) -> str:
        """One of `FORMATS`."""

    def header(self, stream: BinaryIO) -> Record | None:
        """What stands before the first record, and is never masked; *stream* is at the file's start."""

    def records(self, stream: BinaryIO, line: int, offset: int) -> Iterator[Record]:
        """The records from *offset* bytes on, where line *line* begins."""

    def texts(self, record: Record) -> list[tuple[str, str]]:
        """Name and text of everything in a record that can be masked."""

    def rebuilt(self, record: Record, news: Sequence[str]) -> str:
        """The record with other texts, in the order of `texts`."""


def format_of(name: str | None, path: Path | None, fields: Sequence[str], delimiter: str | None) -> Format:
    """
    The format called *name*, or the one that the file's name suggests.

    Raises:
        ConfigError: There is none, or it has no fields.
    """
    chosen = name or _BY_SUFFIX.get("" if path is None else path.suffix.lower(), "lines")
    if chosen not in FORMATS:
        raise ConfigError(f"there is no format {chosen!r}; there are {', '.join(FORMATS)}")
    if fields and chosen in ("lines", "text"):
        raise ConfigError(f"--field is for JSON Lines and CSV, not for {chosen}")
    if chosen == "jsonl":
        return JsonLines(fields)
    if chosen == "csv":
        return Csv(fields, "\t" if delimiter is None and path is not None and path.suffix.lower() == ".tsv" else delimiter)
    return Plain(chosen)


def _lines(stream: BinaryIO, line: int, offset: int) -> Iterator[tuple[bytes, int, int]]:
    """Each line with its number and the bytes up to its end."""
    while True:
        raw = stream.readline(_LONGEST_RECORD)
        if not raw:
            return
        if len(raw) >= _LONGEST_RECORD:
            raise BadRecordError(f"line {line} is longer than {_LONGEST_RECORD // 1024 // 1024} MiB")
        if b"\0" in raw and raw.count(b"\0") * _NUL_SHARE >= len(raw):
            raise ConfigError(
                f"line {line} is half zero bytes, as UTF-16 and files that are no text are, and nothing in it would be found; "
                "write it as UTF-8 first (iconv -f UTF-16 -t UTF-8)"
            )
        offset += len(raw)
        yield raw, line, offset
        line += 1


class Plain:
    """
    Text: each line by itself, or paragraphs, which blank lines end.

    Bytes that are no UTF-8 stay as they are.
    """

    def __init__(self, name: str) -> None:
        self.name = name

    def header(self, stream: BinaryIO) -> Record | None:  # noqa: ARG002 - a text has none
        """Nothing."""
        return None

    def records(self, stream: BinaryIO, line: int, offset: int) -> Iterator[Record]:
        """Lines; or everything up to the end of a run of blank lines."""
        held: list[bytes] = []
        first, end, size, blank = line, offset, 0, False
        for raw, number, so_far in _lines(stream, line, offset):
            if self.name == "lines":  # at once: somebody may be waiting at the other end of a pipe
                yield Record(raw.decode("utf-8", "surrogateescape"), number, so_far)
                continue
            if held and ((blank and raw.strip()) or size + len(raw) > _LONGEST_RECORD):
                yield Record(b"".join(held).decode("utf-8", "surrogateescape"), first, end)
                held, first, size = [], number, 0
            held.append(raw)
            size += len(raw)
            end, blank = so_far, not raw.strip()
        if held:
            yield Record(b"".join(held).decode("utf-8", "surrogateescape"), first, end)

    def texts(self, record: Record) -> list[tuple[str, str]]:
        """All of it."""
        return [("", record.raw)]

    def rebuilt(self, record: Record, news: Sequence[str]) -> str:  # noqa: ARG002 - all of it is new
        """The new text."""
        return news[0]


class JsonLines:
    """
    One JSON value a line: every string in it, or those that *fields* select.

    Args:
        fields: Selectors such as `text` or `messages[*].content`.
    """

    name = "jsonl"

    def __init__(self, fields: Sequence[str]) -> None:
        self._ways: list[tuple[Step, ...]] = [parse_selector(f"record.{one}").steps for one in fields] or [()]

    def header(self, stream: BinaryIO) -> Record | None:  # noqa: ARG002 - there is none
        """Nothing."""
        return None

    def records(self, stream: BinaryIO, line: int, offset: int) -> Iterator[Record]:
        """Lines."""
        for raw, number, end in _lines(stream, line, offset):
            yield Record(_utf8(raw, number), number, end)

    def texts(self, record: Record) -> list[tuple[str, str]]:
        """Every selected string."""
        return [(path, text) for path, text, _ in self._read(record)]

    def rebuilt(self, record: Record, news: Sequence[str]) -> str:
        """Only the strings that changed are written anew."""
        changes = [(place, new) for new, (_, text, place) in zip(news, self._read(record), strict=True) if new != text]
        return str(encode(put(decode(record.raw, "json"), changes), "json", like=record.raw)) if changes else record.raw

    def _read(self, record: Record) -> list[tuple[str, str, Place]]:
        if not record.raw.strip():
            return []
        walk = Walk(_CAPS)
        try:
            value = decode(record.raw, "json")
            for way in self._ways:
                walk.read("record", value, way)
        except Denied as refused:
            problem = refused.reason.replace("|json: the argument", "it")
        else:
            return [
                (path.removeprefix("record").removeprefix("."), text, walk.places[path][1])
                for path, text in walk.texts.items()
            ]
        raise BadRecordError(f"line {record.line}: {problem}")


class Csv:
    """
    CSV with a header: every cell, or those of the columns that *fields* name.

    Args:
        fields: Names of columns.
        delimiter: Between cells; None for the likeliest in the header.
    """

    name = "csv"

    def __init__(self, fields: Sequence[str], delimiter: str | None) -> None:
        self._fields = tuple(fields)
        self._delimiter = delimiter
        self._columns: list[str] = []

    def header(self, stream: BinaryIO) -> Record | None:
        """The first record, which names the columns."""
        first = next(self.records(stream, 1, 0), None)
        if first is None:
            return None
        if self._delimiter is None:
            self._delimiter = max(_DELIMITERS, key=first.raw.count)
        self._columns = self._cells(first)
        missing = [name for name in self._fields if name not in self._columns]
        if missing:
            raise ConfigError(f"there is no column {missing[0]!r}; there are {', '.join(self._columns)}")
        return first

    def records(self, stream: BinaryIO, line: int, offset: int) -> Iterator[Record]:
        """Lines; those between quotes belong together."""
        taken: list[str] = []
        ends = [offset]
        numbers = [line]

        def feed() -> Iterator[str]:
            for raw, number, end in _lines(stream, line, offset):
                ends.append(end)
                numbers.append(number + 1)
                text = _utf8(raw, number)
                taken.append(text)
                if sum(map(len, taken)) > _LONGEST_RECORD:
                    raise BadRecordError(f"line {numbers[0]}: a quoted cell that does not end")
                yield text

        reader = csv.reader(feed(), delimiter=self._delimiter or ",", strict=False)
        while True:
            begins = numbers[-1]
            try:
                next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                problem = str(error)
            else:
                problem = ""
            if problem:
                raise BadRecordError(f"line {begins}: not CSV ({problem})")
            yield Record("".join(taken), begins, ends[-1])
            taken.clear()
            del numbers[:-1], ends[:-1]

    def texts(self, record: Record) -> list[tuple[str, str]]:
        """The cells of the columns."""
        return [(name, cell) for name, cell in self._named(self._cells(record)) if name is not None]

    def rebuilt(self, record: Record, news: Sequence[str]) -> str:
        """Written anew, with the line ending that it had."""
        fresh = iter(news)
        cells = [cell if name is None else next(fresh) for name, cell in self._named(self._cells(record))]
        body = record.raw.rstrip("\r\n")
        out = io.StringIO()
        csv.writer(out, delimiter=self._delimiter or ",", lineterminator=record.raw[len(body) :]).writerow(cells)
        return out.getvalue()

    def _named(self, cells: list[str]) -> Iterator[tuple[str | None, str]]:
        for number, cell in enumerate(cells):
            name = self._columns[number] if number < len(self._columns) else f"column {number + 1}"
            yield (name if not self._fields or name in self._fields else None), cell

    def _cells(self, record: Record) -> list[str]:
        return next(csv.reader(io.StringIO(record.raw, newline=""), delimiter=self._delimiter or ","), [])


def _utf8(raw: bytes, line: int) -> str:
    try:
        return raw.decode("utf-8-sig" if line == 1 else "utf-8")
    except UnicodeDecodeError:
        pass
    raise BadRecordError(f"line {line} is not UTF-8; convert the file first")
