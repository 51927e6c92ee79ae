"""Text inside an encoding: how to look in, and how to put a changed value back in the same kind of box."""

from __future__ import annotations

import json
from typing import Any, NoReturn

from guardrails.errors import Denied


def decode(value: object, codec: str) -> object:
    """
    What *value* holds.

    Args:
        value: bytes for `utf8`; str or bytes for `json`.
        codec: One of `selectors.CODECS`.

    Raises:
        Denied: It is not what the codec says; the message never repeats it.
    """
    match codec:
        case "utf8":
            if not isinstance(value, bytes | bytearray):
                raise _unreadable(codec, f"needs bytes, not {type(value).__name__}")
            return _text(value, codec)
        case "json":
            if isinstance(value, bytes | bytearray):
                value = _text(value, codec)
            if not isinstance(value, str):
                raise _unreadable(codec, f"needs str or bytes, not {type(value).__name__}")
            return _parsed(value)
        case _:  # selectors.parse_selector admits no other
            raise _unreadable(codec, "is not known")


def encode(value: object, codec: str, like: object) -> object:
    """*value* in the box that *like* was: same codec, same type."""
    text = json.dumps(value, ensure_ascii=False) if codec == "json" else str(value)
    if isinstance(like, bytearray):
        return bytearray(text.encode())
    return text.encode() if isinstance(like, bytes) else text


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


class _Refused(Exception):  # noqa: N818 - carries a reason out of a json hook, never seen outside
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
