"""
Which records answer a reviewer's question.

A filter is asked of intents and decisions, which say what a message was; the outcome of a matching intent comes with it.
Nothing is held but the ids of sends that match. What is no record is left out: `guardrails audit verify` names it.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from guardrails.audit import read_records
from guardrails.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """
    All that are given must hold.

    Args:
        since: First moment, RFC 3339 or a date (UTC).
        until: The first moment that is no longer wanted.
        stage: "intent", "outcome", "decision", "genesis", "close".
        channel: As in the record.
        tenant: As in the record: the id, or its keyed digest.
        decision: "deny", "defer", "error", "cancel", "reply" or "counted".
        control: One that refused, or that is in the record's `guards`.
        entity: A type that some control found.
        recipient: A keyed digest (`guardrails audit hash`).
        conversation: As in the record: the id, or its keyed digest.
        send: A send's id.

    Raises:
        ConfigError: A time is none.
    """

    since: str | None = None
    until: str | None = None
    stage: str | None = None
    channel: str | None = None
    tenant: str | None = None
    decision: str | None = None
    control: str | None = None
    entity: str | None = None
    recipient: str | None = None
    conversation: str | None = None
    send: str | None = None

    def __post_init__(self) -> None:
        for name in ("since", "until"):
            object.__setattr__(self, name, _moment(name, getattr(self, name)))

    @property
    def about_messages(self) -> bool:
        """Whether something is asked that only intents and decisions say."""
        asked = (self.channel, self.tenant, self.decision, self.control, self.entity, self.recipient, self.conversation)
        return any(one is not None for one in asked)


def select(folder: str | os.PathLike[str], filters: Filters) -> Iterator[dict[str, Any]]:
    """
    The records of *folder* that match, stream by stream.

    Raises:
        OSError: The folder or a file cannot be read.
    """
    sends: set[str] = set()
    for record in read_records(folder):
        if filters.about_messages:
            send = str(record.get("send_id"))
            if record.get("stage") == "outcome":
                if send not in sends:
                    continue
            elif _matches(record, filters):
                sends.add(send)
            else:
                continue
        if _in_frame(record, filters):
            yield record


def _in_frame(record: Mapping[str, Any], filters: Filters) -> bool:
    ts = str(record.get("ts", ""))
    return (
        (filters.since is None or ts >= filters.since)
        and (filters.until is None or ts < filters.until)
        and filters.stage in {None, record.get("stage")}
        and filters.send in {None, str(record.get("send_id"))}
    )


def _matches(record: Mapping[str, Any], filters: Filters) -> bool:
    for name in ("channel", "tenant", "decision", "conversation"):
        wanted = getattr(filters, name)
        if wanted is not None and record.get(name) != wanted:
            return False
    if filters.control is not None and filters.control not in _controls(record):
        return False
    if filters.entity is not None and filters.entity not in entities(record):
        return False
    return filters.recipient is None or any(one.get("digest") == filters.recipient for one in objects(record, "recipients"))


def objects(record: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The objects of a list in a record; of anything else, none."""
    value = record.get(name)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def entities(record: Mapping[str, Any]) -> dict[str, int]:
    """Entity types and how many of each, over all controls and the refusal itself."""
    total: dict[str, int] = {}
    for holder in (record, *objects(record, "guards")):
        found = holder.get("findings")
        if isinstance(found, dict):
            for kind, count in found.items():
                total[kind] = total.get(kind, 0) + (count if type(count) is int else 0)
    return total


def _controls(record: Mapping[str, Any]) -> set[object]:
    named = (*objects(record, "guards"), *objects(record, "counted"))
    return {record.get("control"), *(str(one.get("name") or one.get("control")) for one in named)}


def _moment(name: str, text: str | None) -> str | None:
    """A time in the form of records, which sorts like time."""
    if text is None:
        return None
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise ConfigError(
            f"{name} must be a date or an RFC 3339 time, such as 2026-01-31 or 2026-01-31T08:00:00Z"
        ) from None
    moment = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S.%f}Z"
