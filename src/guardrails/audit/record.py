"""
What a record says. Types, counts, sizes and keyed digests; never text of a message, never an address, never `str(error)`.

A record on its way is a dict of field name to *member*, which is JSON already (`'"channel":"sms"'`): most members repeat
from send to send, so they are rendered once. Canonical form is what `json.dumps` gives with sorted keys, without
spaces, in ASCII; so nothing in a value can end a line or reach a terminal. The verifier holds every line to it.
"""

from __future__ import annotations

import itertools
import math
import os
import platform
import secrets
import time
from datetime import UTC, datetime
from functools import lru_cache
from json.encoder import encode_basestring_ascii as quote
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, TypeAlias

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from guardrails.core.control import Outcome, Sealed
    from guardrails.core.verdict import Note

SCHEMA_VERSION: Final = 1
FIRST_PREV: Final = "0" * 64
_LINKED: Final = {"durability", "event_id", "prev", "schema_version", "seq", "stage", "stream", "ts"}
_NOTED: Final = {"guards", "guards_omitted", "send_id"}
_MESSAGE: Final = {
    *_NOTED,
    *("actor", "channel", "content", "conversation", "coverage", "direction", "message_key", "operation", "tenant"),
    *("recipients", "recipients_omitted"),
}
_OUTCOME: Final = {"duration_us", "error_code", "error_type", "released_characters", "result"}
_REFUSAL: Final = {"control", "counted", "decision", "deny_code", "findings", "limit", "reason", "since"}
_CANARY: Final = {"canary", "checks", "failed", "passed"}
_GENESIS: Final = {"boot", "config", "host", "library", "pid", "previous_stream", "why"}
# Which fields a stage can have, in the order of its lines.
STAGE_FIELDS: Final = {
    "genesis": tuple(sorted(_LINKED | _GENESIS)),
    "decision": tuple(sorted(_LINKED | _MESSAGE | _REFUSAL)),
    "intent": tuple(sorted(_LINKED | _MESSAGE | {"attempt"})),
    "canary": tuple(sorted(_LINKED | _MESSAGE | _CANARY)),
    "outcome": tuple(sorted(_LINKED | _NOTED | _OUTCOME)),
    "close": tuple(sorted(_LINKED | {"records", "why"})),
}
STAGES: Final = tuple(STAGE_FIELDS)

Members: TypeAlias = dict[str, str]

_NAME_CHARACTERS: Final = 128  # control, operation, channel, class names
_REASON_CHARACTERS: Final = 80
_DETAIL_CHARACTERS: Final = 64
_ENTRIES: Final = 16  # facts, entity types, type names in one mapping
_SAFE_INT: Final = 2**53 - 1
_ALWAYS_ROOM: Final = 1_024  # bytes that all other members together leave free, whatever they say
_CHAIN_BYTES: Final = 320  # what prev, seq, stream, durability, schema_version and braces take at most


_second: tuple[int, str] = (-1, "")  # the last second that was asked for, in words


class EventIds:
    """Ids of records: a random prefix for this process, and a count. Unique, cheap, and safe from any thread."""

    __slots__ = ("_count", "_prefix")

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(10)
        self._count = itertools.count(1)

    def __call__(self) -> str:
        """32 hex digits."""
        return f"{self._prefix}{next(self._count):012x}"


def now() -> str:
    """The wall clock, as records say it: RFC 3339, UTC, microseconds."""
    global _second  # noqa: PLW0603 - one tuple, replaced whole: whoever reads an older one sees another second and makes its own
    seconds, nanoseconds = divmod(time.time_ns(), 1_000_000_000)
    known = _second
    if known[0] != seconds:
        known = _second = seconds, f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
    return f"{known[1]}.{nanoseconds // 1_000:06d}Z"


@lru_cache(maxsize=2_048)
def word(field: str, value: str) -> str:
    """A member whose value comes from code or configuration, and so repeats."""
    return f'"{field}":{short(value, _NAME_CHARACTERS)}'


def short(value: str, characters: int) -> str:
    """*value* as JSON, cut; at most two bytes for each of *characters*, and its quotes."""
    return quote(_cut(value, characters))


def head(stage: str, event_id: str) -> Members:
    """What every record begins with."""
    return {"stage": word("stage", stage), "event_id": f'"event_id":"{event_id}"', "ts": f'"ts":"{now()}"'}


def genesis(event_id: str, *, why: str, previous: str | None, library: str, config: Mapping[str, str | int]) -> Members:
    """The first record of a stream: who writes, and how."""
    members = head("genesis", event_id) | {
        "why": word("why", why),
        "host": word("host", platform.node()),
        "pid": f'"pid":{os.getpid()}',
        "library": word("library", library),
        "config": f'"config":{facts(config)}',
    }
    if previous is not None:
        members["previous_stream"] = f'"previous_stream":{quote(previous)}'
    boot = _boot()
    if boot:
        members["boot"] = word("boot", boot)
    return members


def close(event_id: str, *, why: str, records: int) -> Members:
    """The last record of a stream: nothing comes after it."""
    return head("close", event_id) | {"why": word("why", why), "records": f'"records":{records}'}


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
    message = sealed.message
    parts, total = message.parts, len(message.recipients)
    characters = sum(map(len, parts.values())) + max(0, len(parts) - 1)  # as joined
    named = "" if digest is None else f'"digest":"{digest}",'
    coverage = sealed.coverage
    unscanned = counts(coverage.unscanned) if coverage.unscanned else "{}"
    # One literal: a dict that grows entry by entry is allocated three times.
    members = {
        "stage": word("stage", stage),
        "event_id": f'"event_id":"{event_id}"',
        "ts": f'"ts":"{now()}"',
        "send_id": f'"send_id":{quote(sealed.send_id)}',
        "channel": word("channel", message.channel),
        "direction": word("direction", message.direction),
        "operation": word("operation", sealed.operation),
        "coverage": f'"coverage":{{"scanned":{coverage.scanned},"unscanned":{unscanned}}}',
        "recipients": f'"recipients":[{",".join(recipients)}]',
        "content": f'"content":{{"characters":{characters},{named}"parts":{len(parts)}}}',
        "guards": "",
    }
    if total > len(recipients):
        members["recipients_omitted"] = f'"recipients_omitted":{total - len(recipients)}'
    return members


def outcome(event_id: str, send_id: str, was: Outcome, room: int) -> Members:
    """What became of a send."""
    members = {
        "stage": word("stage", "outcome"),
        "event_id": f'"event_id":"{event_id}"',
        "ts": f'"ts":"{now()}"',
        "send_id": f'"send_id":{quote(send_id)}',
        "result": word("result", was.result),
        "duration_us": f'"duration_us":{_microseconds(was.duration_seconds)}',
    }
    if was.error_type is not None:
        members["error_type"] = word("error_type", was.error_type)
    if was.error_code is not None:
        members["error_code"] = word("error_code", was.error_code)
    if was.released_characters is not None:
        members["released_characters"] = f'"released_characters":{whole(was.released_characters)}'
    if was.verdicts:
        guards(members, was.verdicts, room)
    return members


def canary(event_id: str, *, name: str, passed: bool, checks: int, failed: Sequence[str]) -> Members:
    """What a round of canaries found."""
    listed = ",".join(short(control, _NAME_CHARACTERS) for control in failed[:_ENTRIES])
    return head("canary", event_id) | {
        "canary": f'"canary":{short(name, _NAME_CHARACTERS)}',
        "checks": f'"checks":{whole(checks)}',
        "failed": f'"failed":[{listed}]',
        "passed": f'"passed":{"true" if passed else "false"}',
    }


def reason(text: str) -> str:
    """The member for a refusal's reason, which core has masked."""
    return f'"reason":{quote(text[:_REASON_CHARACTERS])}'


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
    if len(text) > _ALWAYS_ROOM:
        left = room - _CHAIN_BYTES - sum(map(len, members.values())) - len(members)
        fitting = 0
        for one in said:
            left -= len(one) + 1
            if left <= 0:
                break
            fitting += 1
        if fitting < len(said):
            members["guards_omitted"] = f'"guards_omitted":{len(said) - fitting}'
            text = ",".join(said[:fitting])
    members["guards"] = f'"guards":[{text}]'


def counts(found: Mapping[str, int]) -> str:
    """Entity types and how many of each, as JSON."""
    return facts({kind: whole(found[kind]) for kind in list(found)[:_ENTRIES]})


def facts(named: Mapping[str, Any]) -> str:
    """A flat mapping as JSON: str, int, bool and None; of anything else, its type's name."""
    cut = {_cut(str(key), _DETAIL_CHARACTERS): named[key] for key in list(named)[:_ENTRIES]}
    return "{" + ",".join([f"{quote(key)}:{_fact(cut[key])}" for key in sorted(cut)]) + "}"


def whole(value: int) -> int:
    """An int that every JSON reader can hold."""
    return max(-_SAFE_INT, min(_SAFE_INT, int(value)))


def milliseconds(seconds: float) -> int:
    """A time to come, rounded up; 0 for one that is past or is not a number."""
    return whole(math.ceil(seconds * 1e3)) if 0.0 <= seconds < _SAFE_INT / 1e3 else 0


def _cut(value: str, characters: int) -> str:
    cut = value[:characters]
    if len(quote(cut)) <= 2 * characters + 2:
        return cut
    return "".join(one if " " <= one <= "~" else "?" for one in cut)  # mostly escapes: six bytes a character, or twelve


def _fact(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(whole(value))
        case str():
            return short(value, _DETAIL_CHARACTERS)
        case _:
            return quote(f"<{type(value).__name__[:_DETAIL_CHARACTERS]}>")


def _guard(note: Note) -> str:
    end = _named(note.control, note.layer, note.verdict, note.monitored)
    if not note.findings and not note.detail and note.duration_seconds is not None:  # most of them
        return f'{{"duration_us":{_microseconds(note.duration_seconds)},{end}'
    found = f'"findings":{counts(note.counts())},' if note.findings else ""
    took = "" if note.duration_seconds is None else f'"duration_us":{_microseconds(note.duration_seconds)},'
    detail = f'"detail":{facts(note.detail)},' if note.detail else ""
    return f"{{{detail}{took}{found}{end}"


@lru_cache(maxsize=2_048)
def _named(control: str, layer: str, verdict: str, monitored: bool) -> str:  # noqa: FBT001 - a cache key
    layer, control, verdict = (short(name, _NAME_CHARACTERS) for name in (layer, control, verdict))
    return f'"layer":{layer},"monitored":{"true" if monitored else "false"},"name":{control},"verdict":{verdict}}}'


def _microseconds(seconds: float) -> int:
    return whole(int(seconds * 1e6)) if 0.0 <= seconds < _SAFE_INT / 1e6 else 0


@lru_cache(maxsize=1)
def _boot() -> str:
    # As bytes: opening a text file may import its codec, and a fork may leave that import's lock locked in the child.
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_bytes().decode("ascii").strip()
    except (OSError, UnicodeError):  # other systems do not say
        return ""
