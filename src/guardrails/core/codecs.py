"""Text inside an encoding: how to look in, and how to put a changed value back in the same kind of box."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping
from typing import Any, Final, NoReturn
from urllib.parse import quote_plus, unquote_plus

from guardrails.errors import Denied


class Texts(dict[str, Any]):
    """
    The texts of something that says itself who it is for: `|mime` finds them, and recipients only by name.

    Args:
        texts: Name to text, or to several.
        routes: Name to addresses.
    """

    def __init__(self, texts: Mapping[str, Any], routes: Mapping[str, list[str]]) -> None:
        super().__init__(texts)
        self.routes: Mapping[str, list[str]] = routes


def decode(value: object, codec: str) -> object:
    """
    What *value* holds.

    Args:
        value: bytes for `utf8`; str or bytes for `json`, `form` and `html`; these or an e-mail for `mime`.
        codec: One of `selectors.CODECS`.

    Raises:
        Denied: It is not what the codec says; the message never repeats it.
    """
    match codec:
        case "utf8":
            if not isinstance(value, bytes | bytearray):
                raise _unreadable(codec, f"needs bytes, not {type(value).__name__}")
            return _text(value, codec)
        case "json" | "form":
            if isinstance(value, bytes | bytearray):
                value = _text(value, codec)
            if not isinstance(value, str):
                raise _unreadable(codec, f"needs str or bytes, not {type(value).__name__}")
            return _parsed(value) if codec == "json" else _fields(value)
        case "html":
            text = _text(value, codec) if isinstance(value, bytes | bytearray) else value
            if not isinstance(text, str):
                raise _unreadable(codec, f"needs str or bytes, not {type(value).__name__}")
            from guardrails.core.markup import blocks  # noqa: PLC0415 - only who sends HTML pays for its parser

            return blocks(text)
        case "mime":
            from guardrails.core.mime import opened  # noqa: PLC0415 - only who sends e-mails pays for their parser

            return opened(value)
        case _:  # selectors.parse_selector admits no other
            raise _unreadable(codec, "is not known")


def encode(value: object, codec: str, like: object) -> object:
    """
    *value* in the box that *like* was: same codec, same type.

    Args:
        value: What `decode(like, codec)` gave, with some strings replaced.
        codec: One of `selectors.CODECS`.
        like: The encoded original. In JSON and forms everything but the replaced strings stays as it was written.
    """
    if codec == "mime":
        from guardrails.core.mime import closed  # noqa: PLC0415 - loaded by whoever opened it

        return closed(value, like)
    original = like.decode("utf-8") if isinstance(like, bytes | bytearray) else str(like)
    match codec:
        case "json":
            text = _rewritten(original, _parsed(original), value)
        case "form":
            text = _refilled(original, value)
        case "html":
            from guardrails.core.markup import with_blocks  # noqa: PLC0415 - loaded by whoever looked into it

            text = with_blocks(original, list(_strings(value)))
        case _:
            text = str(value)
    if isinstance(like, bytearray):
        return bytearray(text.encode())
    return text.encode() if isinstance(like, bytes) else text


_STRING: Final = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)  # a string token of valid JSON


def _rewritten(text: str, old: object, new: object) -> str:
    """Numbers, spaces and order belong to the sender: only the tokens of changed strings are written anew."""
    olds, news = list(_strings(old)), list(_strings(new))
    ascii_only = text.isascii()
    out: list[str] = []
    at = 0
    for token, before, after in zip(_STRING.finditer(text), olds, news, strict=True):
        if before != after:
            out += [text[at : token.start()], json.dumps(after, ensure_ascii=ascii_only)]
            at = token.end()
    return "".join(out) + text[at:]


def _strings(value: object) -> Iterator[str]:
    """Keys and values that are strings, in the order in which they stand in the document."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for key, child in value.items():
            yield key
            yield from _strings(child)
    elif isinstance(value, list):
        for child in value:
            yield from _strings(child)


def _fields(text: str) -> dict[str, str | list[str]]:
    """The fields of a form (application/x-www-form-urlencoded); a field that stands there several times is a list."""
    found: dict[str, list[str]] = {}
    for name, value in _pairs(text):
        found.setdefault(name, []).append(value)
    return {name: values if len(values) > 1 else values[0] for name, values in found.items()}


def _refilled(text: str, fields: Any) -> str:
    """Only the values that changed are written anew."""
    seen: dict[str, int] = {}
    pieces = text.split("&")
    places = [number for number, piece in enumerate(pieces) if piece]
    for number, (name, before) in zip(places, _pairs(text), strict=True):
        at = seen[name] = seen.get(name, -1) + 1
        now = fields[name]
        after = now[at] if isinstance(now, list) else now
        if after != before:
            pieces[number] = pieces[number].partition("=")[0] + "=" + quote_plus(after)
    return "&".join(pieces)


def _pairs(text: str) -> list[tuple[str, str]]:
    """Source: WHATWG URL, application/x-www-form-urlencoded parsing; a piece without `=` would be a name, and unread."""
    pairs: list[tuple[str, str]] = []
    for piece in text.split("&"):
        if not piece:
            continue
        name, equals, value = piece.partition("=")
        if not equals:
            raise _unreadable("form", "has a field without =")
        try:
            pairs.append((unquote_plus(name, errors="strict"), unquote_plus(value, errors="strict")))
            continue
        except UnicodeDecodeError:
            problem = "is not valid UTF-8"
        raise _unreadable("form", problem)
    return pairs


def _text(value: bytes | bytearray, codec: str) -> str:
    try:
        return value.decode("utf-8")
    except UnicodeDecodeError:
        problem = "is not valid UTF-8"
    raise _unreadable(codec, problem)


def _parsed(text: str) -> object:
    try:
        return json.loads(text, object_pairs_hook=_object, parse_constant=_no_constant)
    except _Refused as refused:
        problem = refused.problem
    except (ValueError, RecursionError):
        problem = "is not valid JSON"
    raise _unreadable("json", problem)


class _Refused(Exception):
    def __init__(self, problem: str) -> None:
        super().__init__(problem)
        self.problem = problem


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # Of two equal keys json keeps the last, and the receiver may read the first: unread text would go out.
    found = dict(pairs)
    if len(found) != len(pairs):
        raise _Refused("has a key twice in one object")
    return found


def _no_constant(_name: str) -> NoReturn:
    raise _Refused("has NaN or Infinity, which JSON does not know")


def _unreadable(codec: str, problem: str) -> Denied:
    return Denied(f"|{codec}: the argument {problem}", control="binding")
