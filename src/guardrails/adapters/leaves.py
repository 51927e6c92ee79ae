"""
Every text below a parsed payload, but for what is known not to be one.

Unknown fields are texts: a field that a provider adds tomorrow is masked, and not let through.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from operator import is_
from typing import Any, Final
from urllib.parse import unquote

from guardrails.core.payload import Item, Place, put
from guardrails.core.selectors import Index
from guardrails.errors import Denied

DEPTH: Final = 64
# Mappings whose keys are an application's own words: a "name" in them is somebody's name, and an "id" anybody's number.
FREE: Final = frozenset({"arguments", "conversation_metadata", "input", "metadata", "parameters", "variables"})
UUID: Final = re.compile(r"[0-9A-Fa-f]{8}(?:-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}")
_LONGEST: Final = 1_024  # characters of what is no text and looked at
_FIELD_NAME: Final = re.compile(r"[A-Za-z_]\w{0,63}")
_SHORTEST_NUMBER: Final = 7  # digits of a telephone number


@dataclass(frozen=True, slots=True, repr=False)
class Beside:
    """What goes out beside the texts, for the door to look at: whoever shows the metadata of a message does not show it."""

    strings: tuple[str, ...]

    def __repr__(self) -> str:
        return f"Beside({len(self.strings)} strings)"


@dataclass(frozen=True, slots=True)
class Texts:
    """
    The texts of one payload.

    Attributes:
        value: The payload as it was parsed.
        parts: Path to text, such as `messages[0].content`.
        places: Path to the way there.
        beside: Strings that are no texts: ids, enumerations, addresses of files, and keys that are no names of fields.
    """

    value: object
    parts: dict[str, str] = field(default_factory=dict)
    places: dict[str, Place] = field(default_factory=dict)
    beside: list[str] = field(default_factory=list)

    @property
    def metadata(self) -> dict[str, Beside]:
        """For the message: the door looks at what is no text, too, and refuses what shows somebody's data."""
        return {"beside": Beside(tuple(self.beside))} if self.beside else {}

    def put(self, news: Mapping[str, str]) -> object:
        """
        The payload with other texts; nothing is mutated, and an unchanged payload stays the same object.

        A path that is not the payload's own stands for a message that had no text, and changes nothing.
        """
        changes = [(self.places[path], text) for path, text in news.items() if self.parts.get(path, text) != text]
        return put(self.value, changes) if changes else self.value


def texts_of(value: object, *, skip: Collection[str] = (), places: Collection[Place] = ()) -> Texts:
    """
    The texts below *value*.

    Args:
        value: What JSON gives: dict, list, str, numbers, None.
        skip: Keys below which nothing is a text: types, ids of objects, encoded files; not in mappings under `FREE`.
        places: Places that play another role, such as the recipient's.

    Raises:
        Denied: It is nested too deeply.
    """
    found = Texts(value)
    _below(found, value, "", (), frozenset(skip), frozenset(places))
    return found


def _short(value: object) -> Iterator[str]:
    """The strings of what is no text, addresses also as they read; what is longer is an encoded file."""
    for one in value if isinstance(value, list) else (value,):
        if isinstance(one, str) and one and len(one) <= _LONGEST and not one.startswith("data:"):
            yield one
            if "%" in one:
                yield unquote(one)


def without_tokens(value: Any, depth: int = 0) -> Any:
    """
    *value* without `logprobs`: a text repeated token by token, in pieces in which nothing can be found.

    Returns:
        The same object where there are none.

    Raises:
        Denied: It is nested too deeply.
    """
    if depth > DEPTH:
        raise Denied(f"a payload nested deeper than {DEPTH}", control="caps")
    if isinstance(value, list):
        items = [without_tokens(child, depth + 1) for child in value]
        return value if all(map(is_, items, value)) else items
    if not isinstance(value, dict):
        return value
    news = {key: without_tokens(child, depth + 1) for key, child in value.items()}
    if news.get("logprobs"):
        news["logprobs"] = [] if isinstance(news["logprobs"], list) else None
    return value if all(map(is_, news.values(), value.values())) else news


def odd_keys(value: Any, depth: int = 0) -> Iterator[str]:
    """
    The keys below *value* that may be somebody's, such as `{"ann@example.com": ...}`, and no names of a protocol.

    >>> list(odd_keys([{"ann@example.com": {"io.example/version": 1}, "+1 212 555 0173": 2, "en-US": 3}]))
    ['ann@example.com', '+1 212 555 0173']

    Raises:
        Denied: It is nested too deeply.
    """
    if depth > DEPTH:
        raise Denied(f"a payload nested deeper than {DEPTH}", control="caps")
    if isinstance(value, dict):
        yield from (key for key in value if isinstance(key, str) and is_odd(key))
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        yield from odd_keys(child, depth + 1)


def is_odd(key: str) -> bool:
    """Whether a key may be somebody's."""
    if _FIELD_NAME.fullmatch(key):
        return False
    return "@" in key or any(map(str.isspace, key)) or sum(map(str.isdigit, UUID.sub("", key))) >= _SHORTEST_NUMBER


def with_keys(value: Any, mask: Callable[[str], str]) -> Any:
    """
    *value* with its odd keys masked; two that become one stay two.

    Returns:
        The same object where there are none.

    Raises:
        Denied: It is nested too deeply.
    """
    known = {key: mask(key) for key in dict.fromkeys(odd_keys(value))}
    return _renamed(value, known) if any(key != new for key, new in known.items()) else value


def _renamed(value: Any, known: Mapping[str, str]) -> Any:
    if isinstance(value, list):
        return [_renamed(child, known) for child in value]
    if not isinstance(value, dict):
        return value
    return keyed((known.get(key, key), _renamed(child, known)) for key, child in value.items())


def keyed(items: Iterable[tuple[Any, Any]]) -> dict[Any, Any]:
    """A dict of *items*, whose keys were masked: one that is there already gets a mark."""
    out: dict[Any, Any] = {}
    for key, child in items:
        while key in out:
            key += "'"  # noqa: PLW2901 - a new one each time
        out[key] = child
    return out


def _below(found: Texts, value: Any, path: str, place: Place, skip: frozenset[str], places: frozenset[Place]) -> None:
    if len(place) > DEPTH:
        raise Denied(f"a payload nested deeper than {DEPTH}", control="caps")
    if place in places and place:
        return
    if isinstance(value, str):
        while path in found.parts:
            path += "'"
        found.parts[path or "text"] = value
        found.places[path or "text"] = place
    elif isinstance(value, dict):
        encoded = value.get("type") == "base64"
        for number, (key, child) in enumerate(value.items()):
            if key in skip or (encoded and key == "data"):
                found.beside.extend(_short(child))
                continue
            is_name = _FIELD_NAME.fullmatch(key) is not None
            shown = f".{key}" if is_name else f"[#{number}]"
            if not is_name:
                found.beside.extend(_short(key))
            below = frozenset[str]() if key in FREE and isinstance(child, dict) else skip
            _below(found, child, (path + shown).removeprefix("."), (*place, Item(key)), below, places)
    elif isinstance(value, list):
        for number, child in enumerate(value):
            _below(found, child, f"{path}[{number}]", (*place, Index(number)), skip, places)
