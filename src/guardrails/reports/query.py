"""
Which records answer a reviewer's question: the filters, and what of a record they look at.

A filter is asked of intents and decisions, which say what a message was; the outcome of a matching intent comes with it.
Refusals that were counted together match by what was counted.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, fields
from datetime import UTC, datetime
from typing import Any

from guardrails.audit.stages import DECISIONS, STAGES
from guardrails.errors import ConfigError


@dataclass(frozen=True, slots=True, kw_only=True)
class Filters:
    """
    All that are given must hold.

    Args:
        since: First moment, RFC 3339 or a date (UTC).
        until: The first moment that is no longer wanted.
        stage: "intent", "outcome", "decision", "genesis", "close", ...
        channel: As in the record.
        tenant: As in the record: the id, or its keyed digest.
        decision: "deny", "defer", "error", "cancel", "reply" or "counted".
        control: One that refused, or that is in the record's `guards`.
        entity: A type that some control found.
        recipient: A keyed digest (`guardrails audit hash`), or several of which one must be there.
        conversation: As in the record: the id, or its keyed digest.
        send: A send's id.
        policy: Digest of the policy that was in force, as in the record.

    Raises:
        ConfigError: A time is none, or no record has such a stage or decision: an empty answer would say that nothing happened.
    """

    since: str | None = None
    until: str | None = None
    stage: str | None = None
    channel: str | None = None
    tenant: str | None = None
    decision: str | None = None
    control: str | None = None
    entity: str | None = None
    recipient: str | Collection[str] | None = None
    conversation: str | None = None
    send: str | None = None
    policy: str | None = None

    def __post_init__(self) -> None:
        for name in ("since", "until"):
            object.__setattr__(self, name, moment(name, getattr(self, name)))
        for name, known in (("stage", STAGES), ("decision", DECISIONS)):
            if getattr(self, name) not in (None, *known):
                raise ConfigError(f"{name} must be one of {', '.join(known)}")

    @property
    def recipients(self) -> frozenset[str] | None:
        """The digests of which one must be there; None if nobody is asked for."""
        if self.recipient is None:
            return None
        return frozenset({self.recipient} if isinstance(self.recipient, str) else self.recipient)

    @property
    def about_messages(self) -> bool:
        """Whether something is asked that only intents and decisions say."""
        asked = (self.channel, self.tenant, self.decision, self.control, self.entity, self.recipient, self.conversation)
        return any(one is not None for one in (*asked, self.policy))

    def said(self) -> dict[str, str | int]:
        """What was asked, for the access log; of people only how many digests."""
        named = {one.name: getattr(self, one.name) for one in fields(self) if one.name != "recipient"}
        digests = self.recipients
        people = {} if digests is None else {"recipients": len(digests)}
        return {name: value for name, value in named.items() if value is not None} | people


def in_frame(record: Mapping[str, Any], filters: Filters) -> bool:
    """Whether a record's own time, stage and send are asked for."""
    ts = str(record.get("ts", ""))
    return (
        (filters.since is None or ts >= filters.since)
        and (filters.until is None or ts < filters.until)
        and filters.stage in {None, record.get("stage")}
        and filters.send in {None, str(record.get("send_id"))}
    )


def matches(record: Mapping[str, Any], filters: Filters) -> bool:
    """Whether an intent or a decision is about a message that is asked for."""
    for name in ("tenant", "conversation"):
        if getattr(filters, name) not in {None, text(record, name)}:
            return False
    if filters.policy not in {None, policy(record)}:
        return False
    for name in ("channel", "decision"):
        if getattr(filters, name) not in {
            None,
            text(record, name),
            *(text(one, name) for one in objects(record, "counted")),
        }:
            return False
    if filters.control is not None and filters.control not in controls(record):
        return False
    if filters.entity is not None and filters.entity not in entities(record):
        return False
    people = filters.recipients
    return people is None or not people.isdisjoint(recipients(record))


def text(record: Mapping[str, Any], name: str) -> str | None:
    """A field that is text; None if it is missing or something else."""
    value = record.get(name)
    return value if isinstance(value, str) else None


def whole(record: Mapping[str, Any], name: str) -> int:
    """A field that is a whole number; 0 if it is missing or something else."""
    value = record.get(name)
    return value if type(value) is int else 0


def objects(record: Mapping[str, Any], name: str) -> list[Mapping[str, Any]]:
    """The objects of a list in a record; of anything else, none."""
    value = record.get(name)
    return [one for one in value if isinstance(one, dict)] if isinstance(value, list) else []


def recipients(record: Mapping[str, Any]) -> list[str]:
    """Digests of the recipients that a record lists."""
    return [digest for one in objects(record, "recipients") if (digest := text(one, "digest")) is not None]


def entities(record: Mapping[str, Any]) -> dict[str, int]:
    """Entity types and how many of each, over all controls and the refusal itself."""
    total: dict[str, int] = {}
    for holder in (record, *objects(record, "guards")):
        found = holder.get("findings")
        if isinstance(found, dict):
            for kind in found:
                total[kind] = total.get(kind, 0) + whole(found, kind)
    return total


def controls(record: Mapping[str, Any]) -> set[str]:
    """Names of the controls that a record is about."""
    named = [text(record, "control"), *(text(one, "name") for one in objects(record, "guards"))]
    named += [text(one, "control") for one in objects(record, "counted")]
    return {name for name in named if name is not None}


def policy(record: Mapping[str, Any]) -> str | None:
    """Digest of the policy in force; None if the record names none."""
    return text(record, "policy")


def moment(name: str, given: str | None) -> str | None:
    """
    A time in the form of records, which sorts like time.

    Raises:
        ConfigError: It is no time.
    """
    if given is None:
        return None
    try:
        when = datetime.fromisoformat(given)
    except ValueError:
        raise ConfigError(
            f"{name} must be a date or an RFC 3339 time, such as 2026-01-31 or 2026-01-31T08:00:00Z"
        ) from None
    when = when.replace(tzinfo=UTC) if when.tzinfo is None else when.astimezone(UTC)
    return f"{when:%Y-%m-%dT%H:%M:%S.%f}Z"
