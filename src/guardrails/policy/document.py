"""
A policy file as plain values, each with its place. Stricter than YAML, so that a file means what it looks like.

1. Mappings, lists and scalars only: no anchors, aliases, tags, merge keys, duplicate keys or second documents.
2. Plain words are what YAML 1.2 says (`true`, `null`, `12`), not what YAML 1.1 does: `no`, `on` and `22:00` are text.
3. UTF-8, and bounds on size, depth and number of values.

Nothing of a value is quoted in a problem but a key's name: a value may be a secret.

Source: YAML 1.2.2, chapter 10.3 (core schema).
"""

from __future__ import annotations

import codecs
import os
import re
from typing import Any, Final, NamedTuple, TypeAlias

import yaml

from guardrails.policy.contents import contents
from guardrails.policy.problems import Place, PolicyError, Problem

MOST_BYTES: Final = 4 * 1024 * 1024
MOST_DEPTH: Final = 24
MOST_VALUES: Final = 500_000
_MOST_DIGITS: Final = 15
_KEY_CHARACTERS: Final = 256
_QUOTES: Final = 2  # the parser quotes characters; more than one word in quotes could be a value

At: TypeAlias = tuple[str | int, ...]

_INT: Final = re.compile(r"[-+]?[0-9]+")
_FLOAT: Final = re.compile(r"[-+]?(?:\.[0-9]+|[0-9]+(?:\.[0-9]*)?)(?:[eE][-+]?[0-9]+)?")
_WORDS: Final[dict[str, object]] = {
    **dict.fromkeys(("", "~", "null", "Null", "NULL")),
    **dict.fromkeys(("true", "True", "TRUE"), True),
    **dict.fromkeys(("false", "False", "FALSE"), False),
}


class Document(NamedTuple):
    """
    A file that has been read.

    Args:
        file: As it was named.
        raw: The exact bytes.
        data: Plain values.
        places: Where each value stands.
        keys: Where the key of each value stands.
    """

    file: str
    raw: bytes
    data: Any
    places: dict[At, Place]
    keys: dict[At, Place]

    def place(self, at: At) -> Place | None:
        """Where the setting *at* stands, or what it would stand in."""
        while at:
            found = self.keys.get(at) or self.places.get(at)
            if found is not None:
                return found
            at = at[:-1]
        return self.places.get(())


def read_document(path: str | os.PathLike[str]) -> Document:
    """
    The document in a file.

    Raises:
        PolicyError: It cannot be read, or is not such a document; with every problem that was found.
    """
    file = os.fspath(path)
    try:
        raw = contents(file, MOST_BYTES)
    except (OSError, ValueError) as error:
        why = getattr(error, "strerror", None) or type(error).__name__
        raise PolicyError(file, [Problem(None, "", f"it cannot be read ({why})")]) from None
    return parsed(raw, file)


def parsed(raw: bytes, file: str = "<policy>") -> Document:
    """
    The document in some bytes.

    Raises:
        PolicyError: They are no such document.
    """
    if len(raw) > MOST_BYTES:
        raise PolicyError(file, [Problem(None, "", f"it has more than {MOST_BYTES:,} bytes")])
    try:
        text = raw.removeprefix(codecs.BOM_UTF8).decode("utf-8")
    except UnicodeDecodeError as error:
        before = raw[: error.start]
        place = Place(file, before.count(b"\n") + 1, error.start - (before.rfind(b"\n") + 1) + 1)
        raise PolicyError(file, [Problem(place, "", "these bytes are not UTF-8")]) from None
    reader = _Reader(file)
    try:
        for event in yaml.parse(text, Loader=_LOADER):
            reader.take(event)
    except yaml.MarkedYAMLError as error:
        where = reader.place(error.problem_mark)
        tab = where is not None and any("\t" in line for line in text.split("\n")[where.line - 1 : where.line])
        hint = "; this line has a tab: indent with blanks" if tab else ""
        reader.problems.append(Problem(where, "", f"this is not YAML ({_why(error)}){hint}"))
    except yaml.reader.ReaderError as error:
        line = text.count("\n", 0, error.position) + 1
        reader.problems.append(Problem(Place(file, line, 1), "", "a character that may not stand in YAML"))
    except (yaml.YAMLError, RecursionError, ValueError, OverflowError) as error:
        reader.problems.append(Problem(None, "", f"this is not YAML ({type(error).__name__})"))
    except _Stop:
        pass
    if reader.problems:
        raise PolicyError(file, reader.problems)
    return Document(file, raw, reader.root, reader.places, reader.keys)


_LOADER: Final[Any] = getattr(yaml, "CSafeLoader", yaml.SafeLoader)  # ten times faster where libyaml is there


class _Stop(Exception):
    """Nothing that comes after is worth reading."""


class _Open:
    """A mapping or list that is being read."""

    __slots__ = ("at", "key", "value")

    def __init__(self, at: At, value: Any) -> None:
        self.at = at
        self.value = value
        self.key: str | None = None


class _Reader:
    """Builds values out of events, without recursion."""

    def __init__(self, file: str) -> None:
        self.file = file
        self.root: Any = None
        self.places: dict[At, Place] = {}
        self.keys: dict[At, Place] = {}
        self.problems: list[Problem] = []
        self._open: list[_Open] = []
        self._documents = 0
        self._repeats = 0

    def place(self, mark: Any) -> Place | None:
        """A mark of the parser, as people count."""
        return None if mark is None else Place(self.file, mark.line + 1, mark.column + 1)

    def take(self, event: Any) -> None:
        """One event of the parser."""
        match event:
            case yaml.DocumentStartEvent():
                self._documents += 1
                if self._documents > 1:
                    self._stop(event, "a second document; one file is one policy")
            case yaml.AliasEvent():
                self._wrong(event, "an alias; write the value out")
                self._put(event, None)
            case yaml.ScalarEvent():
                self._refuse_extras(event)
                self._scalar(event)
            case yaml.MappingStartEvent() | yaml.SequenceStartEvent():
                self._refuse_extras(event)
                self._begin(event, {} if isinstance(event, yaml.MappingStartEvent) else [])
            case yaml.MappingEndEvent() | yaml.SequenceEndEvent():
                self._open.pop()
            case _:  # the stream's and the document's ends
                return

    def _refuse_extras(self, event: Any) -> None:
        if event.anchor is not None:
            self._wrong(event, "an anchor; write the value out where it is needed")
        if event.tag is not None and event.tag != "!":
            self._wrong(event, "a tag; write the value without it")

    def _begin(self, event: Any, value: Any) -> None:
        if len(self._open) >= MOST_DEPTH:
            self._stop(event, f"more than {MOST_DEPTH} levels")
        if self._open and isinstance(self._open[-1].value, dict) and self._open[-1].key is None:
            self._stop(event, "a key that is not a word")
        at = self._put(event, value)
        self._open.append(_Open(at, value))

    def _scalar(self, event: Any) -> None:
        inside = self._open[-1] if self._open else None
        if inside is None or not isinstance(inside.value, dict) or inside.key is not None:
            self._put(event, self._value(event))
            return
        key: str = event.value
        if key == "<<" and not event.style:
            self._wrong(event, "a merge key; write the values out")
        if not key or len(key) > _KEY_CHARACTERS:
            self._wrong(event, f"a key has 1 to {_KEY_CHARACTERS} characters")
            key = key[:_KEY_CHARACTERS]
        at = (*inside.at, key)
        if key in inside.value:
            first = self.keys.get(at)  # none, where the first was no word
            known = "" if first is None else f"; the first is in line {first.line}"
            self._wrong(event, f"{key[:64]!r} stands here a second time{known}")
            self._repeats += 1
            inside.key = f"{key} ({self._repeats})"
            return
        inside.key = key
        place = self.place(event.start_mark)
        if place is not None:
            self.keys[at] = place

    def _value(self, event: Any) -> Any:
        text: str = event.value
        if event.style:  # quoted, or a block: text; the two parsers say None or "" for plain
            return text
        if text in _WORDS:
            return _WORDS[text]
        if _INT.fullmatch(text):
            if len(text) > _MOST_DIGITS:
                self._wrong(event, "a number of so many digits; put it into quotes if it is text")
                return 0
            return int(text)
        if _FLOAT.fullmatch(text) and len(text) <= 2 * _MOST_DIGITS:
            return float(text)
        return text

    def _put(self, event: Any, value: Any) -> At:
        place = self.place(event.start_mark)
        at: At = ()
        if self._open:
            inside = self._open[-1]
            if isinstance(inside.value, list):
                at = (*inside.at, len(inside.value))
                inside.value.append(value)
            else:
                key = inside.key or ""
                at = (*inside.at, key)
                inside.value[key] = value
                inside.key = None
        else:
            self.root = value
        if place is not None:
            self.places[at] = place
        if len(self.places) > MOST_VALUES:
            self._stop(event, f"more than {MOST_VALUES:,} values")
        return at

    def _wrong(self, event: Any, text: str) -> None:
        self.problems.append(Problem(self.place(event.start_mark), "", text))
        if len(self.problems) > 1_000:  # noqa: PLR2004 - nobody reads on
            raise _Stop

    def _stop(self, event: Any, text: str) -> None:
        self._wrong(event, text)
        raise _Stop


def _why(error: yaml.MarkedYAMLError) -> str:
    """What the parser says, without what it quotes."""
    said = [part.split("'", 1)[0] if part.count("'") > _QUOTES else part for part in (error.context, error.problem) if part]
    return ", ".join(" ".join(part.split())[:120] for part in said) or "it ends too early"
