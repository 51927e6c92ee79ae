"""What the demo sends: the sample conversation that ships with the library, or the messages of a file."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from importlib.resources import files
from itertools import cycle, islice
from pathlib import Path
from typing import Final

from guardrails.cli.usage import UsageError

MAX_FILE_BYTES: Final = 64 * 1024 * 1024
MAX_COUNT: Final = 50_000
PLANT_EVERY: Final = 10  # messages of a user's own file
RECIPIENTS: Final = 1_000  # so many people share the messages of a user's own file
IMPATIENT_EVERY: Final = 25  # and one of them is written to far too often

AREA_CODES: Final = ("212", "303", "312", "404", "415", "503", "602", "617", "646", "702")

# Channels and the shapes of their senders; see `senders.py`.
CHANNELS: Final = ("sms", "whatsapp", "email", "chat", "voice", "llm")

# Reserved examples (RFC 2606, RFC 5737, 555-01xx, test cards, the IBAN of the standard): nobody's data.
PLANTED: Final = (
    "jamie.fields@example.org",
    "+1 212 555 0173",
    "4242 4242 4242 4242",
    "GB82 WEST 1234 5698 7654 32",
    "219-09-9999",
    "203.0.113.77",
)


@dataclass(frozen=True, slots=True)
class Line:
    """
    One message to send.

    Args:
        channel: One of `CHANNELS`.
        to: Its recipient.
        text: What to send.
        planted: The reserved examples in *text*, known to be personal.
    """

    channel: str
    to: str
    text: str
    planted: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Line(channel={self.channel!r}, {len(self.text)} chars, {len(self.planted)} planted)"


def sample(count: int | None) -> list[Line]:
    """
    The first *count* lines of the shipped conversation; None for all of it.

    It starts again when it ends, with other recipients: the same person is not told everything twice.
    """
    raw = (files("guardrails.cli") / "data" / "conversation.jsonl").read_text(encoding="utf-8")
    rows = [json.loads(row) for row in raw.splitlines()]
    lines = [Line(row["channel"], row["to"], row["text"], tuple(row["personal"])) for row in rows]
    return [
        line if number < len(lines) else replace(line, to=_recipient(line.channel, _person(number)))
        for number, line in enumerate(islice(cycle(lines), len(lines) if count is None else count))
    ]


def from_file(path: Path, count: int | None) -> list[Line]:
    """
    The messages of a file: `.jsonl`/`.ndjson` and `.csv` with a field `text`, anything else one message a line.

    They are spread over channels and reserved recipients, and known personal data is planted into some of them.

    Raises:
        UsageError: There is no such file, or it is not what its name says.
    """
    lines = list(_addressed(islice(_texts(path), count)))
    if not lines:
        raise UsageError(f"{path} holds no messages; give a file with one message a line, CSV or JSONL")
    return lines


def _addressed(texts: Iterable[str]) -> Iterator[Line]:
    for number, text in enumerate(texts):
        channel = CHANNELS[number % len(CHANNELS)]
        person = _person(number)
        if number % PLANT_EVERY:
            yield Line(channel, _recipient(channel, person), text)
        else:
            value = PLANTED[number // PLANT_EVERY % len(PLANTED)]
            yield Line(channel, _recipient(channel, person), f"{text} (Reply to {value} please.)", (value,))


def _person(number: int) -> int:
    return 0 if number % IMPATIENT_EVERY == 0 else 1 + number % (RECIPIENTS - 1)


def _recipient(channel: str, person: int) -> str:
    if channel == "email":
        return f"customer{person:03}@example.com"
    if channel in {"chat", "llm"}:
        return f"customer-{person:03}"
    return f"+1 {AREA_CODES[person // 100]} 555 01{person % 100:02}"


def _texts(path: Path) -> Iterator[str]:
    content = _read(path)
    kind = path.suffix.lower()
    if kind in {".jsonl", ".ndjson"}:
        texts = _jsonl(path, content)
    elif kind == ".csv":
        texts = _csv(path, content)
    else:
        texts = iter(content.splitlines())
    return (text for text in texts if text.strip())


def _read(path: Path) -> str:
    try:
        if path.stat().st_size > MAX_FILE_BYTES:
            raise UsageError(f"{path} is larger than {MAX_FILE_BYTES // 1024 // 1024} MiB; split it")
        raw = path.read_bytes()
    except IsADirectoryError:
        raise UsageError(f"{path} is a folder; give a file") from None
    except OSError as error:
        raise UsageError(f"cannot read {path}: {error.strerror or type(error).__name__}") from None
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(f"{path} is not UTF-8 (byte {error.start}); convert it first") from None


def _jsonl(path: Path, content: str) -> Iterator[str]:
    for number, row in enumerate(content.split("\n"), start=1):
        if not row.strip():
            continue
        try:
            value = json.loads(row)
        except (ValueError, RecursionError):
            raise UsageError(f"{path}, line {number}: not JSON; a .jsonl file has one JSON object a line") from None
        text = value.get("text") if isinstance(value, dict) else None
        if not isinstance(text, str):
            raise UsageError(f"{path}, line {number}: needs an object with a string field 'text'")
        yield _sendable(path, number, text)


def _csv(path: Path, content: str) -> Iterator[str]:
    reader = csv.DictReader(io.StringIO(content, newline=""))
    try:
        columns: Sequence[str] = reader.fieldnames or ()
        if "text" not in columns:
            raise UsageError(f"{path} has no column 'text' in its first line; name the column with the messages 'text'")
        for row in reader:
            yield row["text"] or ""
    except csv.Error as error:
        raise UsageError(f"{path}, line {reader.line_num}: not CSV ({error})") from None


def _sendable(path: Path, number: int, text: str) -> str:
    # JSON can spell half a surrogate pair, and nothing can send that.
    try:
        text.encode()
    except UnicodeEncodeError:
        raise UsageError(f"{path}, line {number}: 'text' holds half a character (a lone surrogate)") from None
    return text
