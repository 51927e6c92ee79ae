"""
A provider's own log of messages, as CSV: what it says it was asked to send.

Sources: Twilio, Message resource (fields To, DateSent, Sid, Status, Direction; in exports also as date_sent and the like);
Sinch, SMS delivery reports (recipient, at, batch_id, status, client_reference). Names of columns are compared without
case, spaces and underscores.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from pathlib import Path
from typing import Final

from guardrails.errors import ConfigError

ROLES: Final = ("recipient", "time", "id", "status", "reference", "direction")
PRESETS: Final[Mapping[str, Mapping[str, Sequence[str]]]] = {
    "twilio": {
        "recipient": ("to",),
        "time": ("datesent", "sentdate", "datecreated"),
        "id": ("sid", "messagesid"),
        "status": ("status",),
        "direction": ("direction",),
    },
    "sinch": {
        "recipient": ("recipient", "to"),
        "time": ("at", "createdat", "sentat"),
        "id": ("batchid", "id", "messageid"),
        "status": ("status",),
        "reference": ("clientreference",),
        "direction": ("direction",),
    },
}
_NOT_DELIVERED: Final = {
    "failed", "undelivered", "canceled", "cancelled", "rejected", "aborted", "deleted", "expired",
}  # fmt: skip
_INBOUND: Final = ("inbound", "incoming", "mo", "received")
_FIELD_BYTES: Final = 1_048_576
_EPOCH_DIGITS: Final = 10  # seconds since 1970; more are milliseconds
_MILLISECONDS_DIGITS: Final = 13


@dataclass(frozen=True, slots=True)
class Delivery:
    """
    One message, as the provider has it. Nothing of it but the line, the time, the status and the id is ever shown.

    Args:
        line: In the file, from 1.
        at: When.
        recipient: As it stands there.
        id: The provider's own.
        reference: The caller's own, if the provider kept it.
        status: In the provider's words.
    """

    line: int
    at: datetime
    recipient: str
    id: str
    reference: str
    status: str

    def __repr__(self) -> str:
        return f"Delivery(line={self.line})"

    @property
    def was_delivered(self) -> bool:
        """Whether the provider does not say that it was not."""
        return self.status.lower() not in _NOT_DELIVERED


def deliveries(path: Path, preset: str | None, columns: Mapping[str, str]) -> Iterator[Delivery]:
    """
    The outgoing messages in a file.

    Args:
        path: CSV with a header.
        preset: One of `PRESETS`; None: *columns* say it all.
        columns: Role to column; these go before the preset's.

    Raises:
        ConfigError: A column is missing, or a line cannot be read; values are never shown.
        OSError: The file cannot be read.
    """
    wrong = [role for role in columns if role not in ROLES]
    if wrong or (preset is not None and preset not in PRESETS):
        raise ConfigError(f"--column takes {', '.join(ROLES)}; --preset takes {', '.join(PRESETS)}")
    csv.field_size_limit(_FIELD_BYTES)
    with path.open(encoding="utf-8-sig", errors="replace", newline="") as file:
        rows = csv.reader(file)
        try:
            place = _places(next(rows, []), preset, columns)
            for row in rows:
                if not any(row):
                    continue
                one = _delivery(row, place, rows.line_num)
                if one is not None:
                    yield one
        except csv.Error:
            raise ConfigError(f"line {rows.line_num} of {path.name} is no CSV") from None


def _places(header: Sequence[str], preset: str | None, columns: Mapping[str, str]) -> dict[str, int]:
    names = [_plain(name) for name in header]
    found: dict[str, int] = {}
    for role in ROLES:
        wanted = (_plain(columns[role]),) if role in columns else PRESETS.get(preset or "", {}).get(role, ())
        at = next((names.index(name) for name in wanted if name in names), None)
        if at is not None:
            found[role] = at
        elif role in columns or role in {"recipient", "time"}:
            raise ConfigError(
                f"no column for the {role} in the provider's file: name it with --column {role}=NAME; "
                f"it has {len(header)} columns: {', '.join(repr(name)[:40] for name in header[:30])}"
            )
    return found


def _delivery(row: Sequence[str], place: Mapping[str, int], line: int) -> Delivery | None:
    def cell(role: str) -> str:
        at = place.get(role)
        return row[at].strip() if at is not None and at < len(row) else ""

    if cell("direction").lower().startswith(_INBOUND):
        return None
    at = _moment(cell("time"))
    if at is None:
        raise ConfigError(f"line {line}: the time is none that is known (ISO 8601, RFC 2822, or seconds since 1970)")
    return Delivery(line, at, cell("recipient"), cell("id"), cell("reference"), cell("status"))


def _moment(given: str) -> datetime | None:
    """A time in one of the forms that providers use; without a zone it is UTC."""
    if given.isascii() and given.isdecimal() and _EPOCH_DIGITS <= len(given) <= _MILLISECONDS_DIGITS:
        return datetime.fromtimestamp(int(given) / 10 ** (len(given) - _EPOCH_DIGITS), UTC)
    for read in (datetime.fromisoformat, parsedate_to_datetime):
        try:
            moment = read(given.removesuffix(" UTC"))
        except (ValueError, TypeError, IndexError):
            continue
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return None


def _plain(name: str) -> str:
    return "".join(one for one in name.lower() if one.isalnum())
