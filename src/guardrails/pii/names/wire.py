"""
As much of protocol buffers as reading and writing an ONNX file takes. Pure; standard library only.

A message is a row of fields, each with a number: a whole number, or bytes (a text, numbers in a row, another message).

Source: https://protobuf.dev/programming-guides/encoding/
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Final, TypeAlias

Value: TypeAlias = int | memoryview
Written: TypeAlias = tuple[int, int | str | bytes | memoryview | list[bytes | memoryview]]
_WHOLE: Final = 0
_BYTES: Final = 2
_FIXED: Final = {1: 8, 5: 4}  # bytes of the other two wire types
_LOW: Final = 0x7F
_MORE: Final = 0x80
_BROKEN: Final = "not a message of protocol buffers, or another one than was expected"


def fields(given: bytes | memoryview) -> Iterator[tuple[int, Value]]:
    """
    Number and value of each field of a message, in order.

    Raises:
        ValueError: It is cut off, or no message.
    """
    view = memoryview(given)
    at = 0
    while at < len(view):
        key, at = _read(view, at)
        kind = key & 7
        if kind == _WHOLE:
            value, at = _read(view, at)
            yield key >> 3, value
            continue
        if kind == _BYTES:
            size, at = _read(view, at)
        elif kind in _FIXED:
            size = _FIXED[kind]
        else:
            raise ValueError(_BROKEN)
        if at + size > len(view):
            raise ValueError(_BROKEN)
        yield key >> 3, view[at : at + size]
        at += size


def content(value: Value) -> memoryview:
    """
    A field that holds bytes.

    Raises:
        ValueError: It does not.
    """
    if isinstance(value, int):
        raise ValueError(_BROKEN)  # noqa: TRY004 - the file is wrong, not the caller
    return value


def whole(value: Value) -> int:
    """
    A field that holds a whole number.

    Raises:
        ValueError: It does not.
    """
    if not isinstance(value, int):
        raise ValueError(_BROKEN)  # noqa: TRY004 - as above
    return value


def text(value: Value) -> str:
    """
    A field that holds a text.

    Raises:
        ValueError: It does not.
    """
    return bytes(content(value)).decode()


def _read(view: memoryview, at: int) -> tuple[int, int]:
    """The whole number at *at*, and where the next thing begins."""
    number = shift = 0
    while at < len(view):
        byte = view[at]
        number |= (byte & _LOW) << shift
        at += 1
        if byte <= _LOW:
            return number, at
        shift += 7
    raise ValueError(_BROKEN)


def message(written: Iterable[Written]) -> bytes:
    """
    A message of the fields *written*; a list of pieces is one field of bytes.

    >>> message([(1, 150), (2, "Ann"), (3, [b"B", b"ob"])]).hex()
    '0896011203416e6e1a03426f62'
    """
    return b"".join(pieces(written))


def pieces(written: Iterable[Written]) -> list[bytes | memoryview]:
    """As `message`, not joined yet: a large one is copied once."""
    found: list[bytes | memoryview] = []
    for number, value in written:
        match value:
            case int():
                found += (_number(number << 3 | _WHOLE), _number(value))
                continue
            case str():
                inside: list[bytes | memoryview] = [value.encode()]
            case list():
                inside = value
            case _:
                inside = [value]
        found += (_number(number << 3 | _BYTES), _number(sum(map(len, inside))), *inside)
    return found


def _number(number: int) -> bytes:
    written = bytearray()
    while number > _LOW:
        written.append(number & _LOW | _MORE)
        number >>= 7
    written.append(number)
    return bytes(written)
