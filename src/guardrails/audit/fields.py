"""
How values get into a record: cut, counted, and with nothing in them that a terminal would obey.

A record on its way is a dict of field name to *member*, which is JSON already (`'"channel":"sms"'`): most members repeat
from send to send, so they are rendered once. The form is that of RFC 8785 (JCS), which is what `json.dumps` gives with
sorted keys, without spaces and without escapes for printable characters. Keys are ASCII, so that all ways to sort them agree.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from functools import lru_cache
from json.encoder import encode_basestring, encode_basestring_ascii
from typing import Any, Final, TypeAlias

from guardrails.audit.grammar import SAFE_INT

Members: TypeAlias = dict[str, str]

# What a record gets when it is linked into its stream, and so has to leave a place for.
CHAINED: Final = ("durability", "prev", "schema_version", "seq", "stream")

NAME_CHARACTERS: Final = 128  # control, operation, channel, class names
DETAIL_CHARACTERS: Final = 64
ENTRIES: Final = 16  # facts, entity types, type names in one mapping
_REASON_CHARACTERS: Final = 80
_SAFE_SECONDS: Final = SAFE_INT // 1_000_000


def quote(text: str) -> str:
    """*text* as JSON. What is not printable (control characters, line separators, directions, surrogates) becomes `?`."""
    if text.isascii():
        return encode_basestring_ascii(text if text.isprintable() else _printable(text))
    return encode_basestring(text if text.isprintable() else _printable(text))


def quote_lines(text: str) -> str:
    """The same for text of several lines: line ends and tabs stay, as escapes."""
    if text.isprintable():
        return quote(text)
    return encode_basestring("".join(one if one.isprintable() or one in "\n\r\t" else "?" for one in text))


def short(value: str, characters: int) -> str:
    """*value* as JSON, cut; at most two bytes for each of *characters*, and its quotes."""
    quoted = quote(value[:characters])
    if len(quoted) * 4 <= 2 * characters or len(quoted.encode()) <= 2 * characters + 2:
        return quoted
    # Wide scripts, or mostly escapes: cut by bytes, then by what the escapes leave.
    value = value[:characters].encode("utf-8", "replace")[: 2 * characters].decode("utf-8", "ignore")
    quoted = quote(value)
    while len(quoted.encode()) > 2 * characters + 2:
        value = value[: len(value) * 3 // 4]
        quoted = quote(value)
    return quoted


@lru_cache(maxsize=2_048)
def word(field: str, value: str) -> str:
    """A member whose value comes from code or configuration, and so repeats."""
    return f'"{field}":{short(value, NAME_CHARACTERS)}'


def reason(text: str) -> str:
    """The member for a refusal's reason, which core has masked."""
    return f'"reason":{quote(text[:_REASON_CHARACTERS])}'


def counts(found: Mapping[str, int]) -> str:
    """Entity types and how many of each, as JSON."""
    return facts({kind: whole(found[kind]) for kind in list(found)[:ENTRIES]})


def facts(named: Mapping[str, Any]) -> str:
    """A flat mapping as JSON: str, int, bool and None; of anything else, its type's name."""
    cut = {_key(str(key)): named[key] for key in list(named)[:ENTRIES]}
    return "{" + ",".join([f"{quote(key)}:{_fact(cut[key])}" for key in sorted(cut)]) + "}"


def whole(value: int) -> int:
    """An int that every JSON reader can hold."""
    return max(-SAFE_INT, min(SAFE_INT, int(value)))


def microseconds(seconds: float) -> int:
    """A duration; 0 for one that is no number."""
    return int(seconds * 1e6) if 0.0 <= seconds < _SAFE_SECONDS else 0


def milliseconds(seconds: float) -> int:
    """A time to come, rounded up; 0 for one that is past or is not a number."""
    return whole(math.ceil(seconds * 1e3)) if 0.0 <= seconds < SAFE_INT / 1e3 else 0


def _printable(text: str) -> str:
    return "".join(one if one.isprintable() else "?" for one in text)


@lru_cache(maxsize=2_048)
def _key(key: str) -> str:
    text = key[:DETAIL_CHARACTERS]
    return text if text.isascii() and text.isprintable() else "".join(one if " " <= one <= "~" else "?" for one in text)


def _fact(value: object) -> str:
    match value:
        case None:
            return "null"
        case bool():
            return "true" if value else "false"
        case int():
            return str(whole(value))
        case str():
            return short(value, DETAIL_CHARACTERS)
        case _:
            return quote(f"<{type(value).__name__[:DETAIL_CHARACTERS]}>"[:DETAIL_CHARACTERS])
