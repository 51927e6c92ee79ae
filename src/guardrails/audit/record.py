"""What the records say that are about the log itself: where a stream begins and ends, and what changed. See `message_record`."""

from __future__ import annotations

import itertools
import os
import platform
import secrets
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Final

from guardrails.audit.fields import ENTRIES, NAME_CHARACTERS, Members, facts, quote, short, whole, word

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from guardrails.audit.found import Expired, Found, Unclosed

_STREAMS_BEFORE: Final = 32  # of the newest, in a genesis record
_UNCLOSED: Final = 16  # streams that were found without a close record


_second: tuple[int, str] = (-1, "")  # the last second that was asked for, in words


class EventIds:
    """Ids of records: a random prefix for this process, and a count. Unique, cheap, and safe from any thread."""

    __slots__ = ("_count", "_prefix")

    def __init__(self) -> None:
        self._prefix = secrets.token_hex(10)
        self._count = itertools.count(1)

    def __call__(self) -> str:
        """32 hex digits."""
        return "%s%012x" % (self._prefix, next(self._count))  # noqa: UP031 - twice as fast as any other way


def now() -> str:
    """The wall clock, as records say it: RFC 3339, UTC, microseconds."""
    global _second  # noqa: PLW0603 - one tuple, replaced whole: whoever reads an older one sees another second and makes its own
    microseconds_now = time.time_ns() // 1_000
    seconds = microseconds_now // 1_000_000
    known = _second
    if known[0] != seconds:
        known = _second = seconds, f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}"
    return "%s.%06dZ" % (known[1], microseconds_now - seconds * 1_000_000)  # noqa: UP031 - as in EventIds


def head(stage: str, event_id: str) -> Members:
    """What every record begins with."""
    return {"stage": word("stage", stage), "event_id": f'"event_id":"{event_id}"', "ts": f'"ts":"{now()}"'}


@dataclass(frozen=True, slots=True, kw_only=True)
class Before:
    """
    The stream that a writer wrote before this one.

    Args:
        stream: Its id.
        records: How many of its records were accepted.
        head: SHA-256 of the last of them, in hex.
    """

    stream: str
    records: int
    head: str


def genesis(
    event_id: str, *, why: str, before: Before | None, library: str, config: Mapping[str, str | int], found: Found
) -> Members:
    """The first record of a stream: who writes, how, after what, and what lay in the folder."""
    members = head("genesis", event_id) | {
        "why": word("why", why),
        "host": word("host", platform.node()),
        "pid": f'"pid":{os.getpid()}',
        "library": word("library", library),
        "config": f'"config":{facts(config)}',
    }
    if before is not None:
        members["previous_stream"] = f'"previous_stream":{quote(before.stream)}'
        members["previous_records"] = f'"previous_records":{before.records}'
        members["previous_head"] = f'"previous_head":{quote(before.head)}'
    boot = _boot()
    if boot:
        members["boot"] = word("boot", boot)
    if found.streams:
        members["streams_before"] = f'"streams_before":[{",".join(map(quote, found.streams[-_STREAMS_BEFORE:]))}]'
    if found.unclosed:
        members["unclosed"] = f'"unclosed":[{",".join(_unclosed(one) for one in found.unclosed[:_UNCLOSED])}]'
    if len(found.unclosed) > _UNCLOSED:
        members["unclosed_omitted"] = f'"unclosed_omitted":{len(found.unclosed) - _UNCLOSED}'
    return members


def _unclosed(one: Unclosed) -> str:
    return f'{{"records":{one.records},"stream":{quote(one.stream)},"tail_bytes":{one.tail_bytes}}}'


def config(event_id: str, *, change: str, named: Mapping[str, str | int | bool | None]) -> Members:
    """That something about the log or the policy is now another."""
    return head("config", event_id) | {"change": word("change", change), "facts": f'"facts":{facts(named)}'}


def review(event_id: str, *, command: str, user: str, asked: Mapping[str, str | int | bool | None]) -> Members:
    """That somebody looked into a log."""
    members = head("review", event_id) | {"command": word("command", command), "user": word("user", user)}
    return members | {"asked": f'"asked":{facts(asked)}'}


def checkpoint(event_id: str, *, before: Members) -> Members:
    """That a checkpoint follows, over this record too; it commits to the one before."""
    return head("checkpoint", event_id) | before


def note_before(number: int, note: str) -> Members:
    """
    By which members a record commits to a checkpoint.

    Args:
        number: Which checkpoint of the stream follows, from 1.
        note: SHA-256 of the note before, in hex.
    """
    return {"number": f'"number":{number}', "previous_note": f'"previous_note":{quote(note)}'}


def tombstone(event_id: str, expired: Expired) -> Members:
    """That a stream's time is over, and what it held."""
    return head("tombstone", event_id) | {
        "ended": f'"ended":{quote(expired.ended)}',
        "expired_stream": f'"expired_stream":{quote(expired.stream)}',
        "head": f'"head":{quote(expired.head)}',
        "records": f'"records":{expired.records}',
        "retain_days": f'"retain_days":{expired.retain_days}',
        "root": f'"root":{quote(expired.root)}',
    }


def close(event_id: str, *, why: str, records: int, before: Members | None = None) -> Members:
    """
    The last record of a stream: nothing comes after it.

    Args:
        event_id: The record's.
        why: What ended the stream.
        records: How many the stream holds, this one included.
        before: The members by which a checkpoint commits to the one before, if there are checkpoints.
    """
    return head("close", event_id) | {"why": word("why", why), "records": f'"records":{records}', **(before or {})}


def canary(event_id: str, *, name: str, passed: bool, checks: int, failed: Sequence[str]) -> Members:
    """What a round of canaries found."""
    listed = ",".join(short(control, NAME_CHARACTERS) for control in failed[:ENTRIES])
    return head("canary", event_id) | {
        "canary": f'"canary":{short(name, NAME_CHARACTERS)}',
        "checks": f'"checks":{whole(checks)}',
        "failed": f'"failed":[{listed}]',
        "passed": f'"passed":{"true" if passed else "false"}',
    }


@lru_cache(maxsize=1)
def _boot() -> str:
    # As bytes: opening a text file may import its codec, and a fork may leave that import's lock locked in the child.
    try:
        return Path("/proc/sys/kernel/random/boot_id").read_bytes().decode("ascii").strip()
    except (OSError, UnicodeError):  # other systems do not say
        return ""
