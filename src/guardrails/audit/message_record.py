"""
What the records say that are about a message: intents, decisions and outcomes.

Types, counts, sizes and keyed digests; never text of a message (unless the log was asked for masked text), never an
address, never `str(error)`.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from guardrails.audit.fields import (
    CHAINED,
    NAME_CHARACTERS,
    Members,
    counts,
    facts,
    microseconds,
    quote,
    quote_lines,
    short,
    whole,
    word,
)
from guardrails.audit.record import now

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from guardrails.core.control import Outcome, Sealed
    from guardrails.core.verdict import Note

_ALWAYS_ROOM: Final = 1_024  # bytes that all other members together leave free, whatever they say
_CHAIN_BYTES: Final = 500  # what prev, seq, stream, durability, schema_version, policy and braces take at most
_TEXT_BYTES: Final = 6_144  # masked text in one record
_TEXT_CHARACTERS: Final = 4_096  # of one part


def about(stage: str, event_id: str, sealed: Sealed, recipients: Sequence[str], digest: str | None) -> Members:
    """
    What intents and decisions say alike: who is to get what, from where.

    Args:
        stage: "intent" or "decision".
        event_id: The record's.
        sealed: The message, as far as it is known.
        recipients: JSON objects for the first of them, perhaps not for all.
        digest: Keyed digest of the text; None without text.
    """
    message, coverage = sealed.message, sealed.coverage
    parts, total = message.parts, len(message.recipients)
    members = _blank(
        stage,
        message.channel,
        message.direction,
        sealed.operation,
        sealed.policy,
        coverage.scanned,
        total > len(recipients),
    ).copy()
    count = len(parts)
    characters = sum(map(len, parts.values())) + (count - 1 if count else 0)  # as joined
    named = "" if digest is None else f'"digest":"{digest}",'
    members["content"] = f'"content":{{"characters":{characters},{named}"parts":{len(parts)}}}'
    members["event_id"] = f'"event_id":"{event_id}"'
    members["recipients"] = f'"recipients":[{",".join(recipients)}]'
    members["send_id"] = _send(sealed.send_id)
    members["ts"] = f'"ts":"{now()}"'
    if coverage.unscanned:
        members["coverage"] = f'"coverage":{{"scanned":{coverage.scanned},"unscanned":{counts(coverage.unscanned)}}}'
    if total > len(recipients):
        members["recipients_omitted"] = f'"recipients_omitted":{total - len(recipients)}'
    return members


def _send(send_id: str) -> str:
    return f'"send_id":"{send_id}"' if send_id.isalnum() and send_id.isascii() else f'"send_id":{quote(send_id)}'


@lru_cache(maxsize=2_048)
def _blank(
    stage: str,
    channel: str,
    direction: str,
    operation: str,
    policy: str | None,
    scanned: int,
    omitted: bool,  # noqa: FBT001
) -> Members:
    """What repeats from send to send, with a place for everything else, in the order of the line. For copying."""
    places = ["content", "event_id", "guards", "recipients", "send_id", "ts", *CHAINED]
    members = dict.fromkeys(places, "") | {
        "stage": word("stage", stage),
        "channel": word("channel", channel),
        "coverage": f'"coverage":{{"scanned":{scanned},"unscanned":{{}}}}',
        "direction": word("direction", direction),
        "operation": word("operation", operation),
    }
    if policy is not None:
        members["policy"] = word("policy", policy)
    if omitted:
        members["recipients_omitted"] = ""
    return dict(sorted(members.items()))


def outcome(event_id: str, send_id: str, was: Outcome, room: int, policy: str | None = None) -> Members:
    """
    What became of a send.

    Args:
        event_id: The record's.
        send_id: The send's.
        was: What core says.
        room: Bytes of the whole record.
        policy: Digest of the policy that was in force.
    """
    members = _blank_outcome(was.result, policy).copy()
    members["duration_us"] = f'"duration_us":{microseconds(was.duration_seconds)}'
    members["event_id"] = f'"event_id":"{event_id}"'
    members["send_id"] = _send(send_id)
    members["ts"] = f'"ts":"{now()}"'
    if was.error_type is not None:
        members["error_type"] = word("error_type", was.error_type)
    if was.error_code is not None:
        members["error_code"] = word("error_code", was.error_code)
    if was.released_characters is not None:
        members["released_characters"] = f'"released_characters":{max(0, whole(was.released_characters))}'
    if was.verdicts:
        guards(members, was.verdicts, room)
    return members


@lru_cache(maxsize=256)
def _blank_outcome(result: str, policy: str | None) -> Members:
    members = dict.fromkeys(("duration_us", "event_id", "send_id", "ts", *CHAINED), "")
    members |= {"stage": word("stage", "outcome"), "result": word("result", result)}
    if policy is not None:
        members["policy"] = word("policy", policy)
    return dict(sorted(members.items()))


def text(members: Members, parts: Mapping[str, str], room: int) -> None:
    """
    The masked text, part by part, as far as there is room.

    Args:
        members: All other members but `guards`.
        parts: As they are sent.
        room: Bytes of the whole record.
    """
    left = min(_TEXT_BYTES, room - _CHAIN_BYTES - 2 * _ALWAYS_ROOM - sum(map(_size, members.values())))
    said = []
    for part in parts.values():
        one = f'{{"characters":{len(part)},"masked":{quote_lines(part)}}}' if len(part) <= _TEXT_CHARACTERS else ""
        left -= _size(one)
        if not one or left < 0:
            members["text_omitted"] = word("text_omitted", "too long")
            break
        said.append(one)
    members["text"] = f'"text":[{",".join(said)}]'


def guards(members: Members, notes: Iterable[Note], room: int) -> None:
    """
    What each control decided; last of a record's members, because it fills what is left.

    Args:
        members: All other members; the list is added, with a count of what did not fit.
        notes: In order.
        room: Bytes of the whole record.
    """
    said = [_guard(note) for note in notes]
    text = ",".join(said)
    if _size(text) > _ALWAYS_ROOM:
        left = room - _CHAIN_BYTES - sum(map(_size, members.values())) - len(members)
        fitting = 0
        for one in said:
            left -= _size(one) + 1
            if left <= 0:
                break
            fitting += 1
        if fitting < len(said):
            members["guards_omitted"] = f'"guards_omitted":{len(said) - fitting}'
            text = ",".join(said[:fitting])
    members["guards"] = f'"guards":[{text}]'


def _guard(note: Note) -> str:
    control, layer, verdict, findings, _, monitored, seconds, detail = note
    end = _named(control, layer, verdict, monitored)
    if not findings and not detail and seconds is not None:  # most of them
        return f'{{"duration_us":{microseconds(seconds)},{end}'
    found = f'"findings":{counts(note.counts())},' if findings else ""
    took = "" if seconds is None else f'"duration_us":{microseconds(seconds)},'
    said = f'"detail":{facts(detail)},' if detail else ""
    return f"{{{said}{took}{found}{end}"


@lru_cache(maxsize=2_048)
def _named(control: str, layer: str, verdict: str, monitored: bool) -> str:  # noqa: FBT001 - a cache key
    layer, control, verdict = (short(name, NAME_CHARACTERS) for name in (layer, control, verdict))
    return f'"layer":{layer},"monitored":{"true" if monitored else "false"},"name":{control},"verdict":{verdict}}}'


def _size(text: str) -> int:
    return len(text) if text.isascii() else len(text.encode())
