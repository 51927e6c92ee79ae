"""
What a value of a record can be: a rule for values, the same rule as a JSON Schema, and as a pattern over canonical bytes.

A pattern answers for most lines, several times faster than parsing. It knows only values in plain printable ASCII, and only
those key sets of free mappings that it has been shown; it says yes only where the rule would. What it does not match is parsed.

Imports no more than the standard library: the verifier stands on this.
"""

from __future__ import annotations

import re
from abc import abstractmethod
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Final, Protocol, TypeAlias

SAFE_INT: Final = 2**53 - 1
_PLAIN: Final = rb'"[ !#-\[\]-~]*+"'  # without quotation marks and backslashes, which need a parser
_COUNT: Final = rb"(?:0|[1-9][0-9]{0,14}+)"
_WHOLE: Final = rb"(?:0|-?[1-9][0-9]{0,14}+)"

Shapes: TypeAlias = frozenset[tuple[str, ...]]
Schema: TypeAlias = dict[str, Any]


class Kind(Protocol):
    """One kind of value."""

    @abstractmethod
    def holds(self, value: object) -> bool:
        """Whether *value*, as parsed, is one."""

    @abstractmethod
    def schema(self) -> Schema:
        """The same as a JSON Schema."""

    @abstractmethod
    def pattern(self, shapes: Shapes) -> bytes:
        """The same as a pattern; free mappings may have the key sets *shapes*."""


@dataclass(frozen=True, slots=True)
class Word:
    """
    A string.

    Args:
        characters: At most.
        form: What all of it must match.
        one_of: If only these are allowed.
    """

    characters: int = 128
    form: str | None = None
    one_of: tuple[str, ...] = ()

    def holds(self, value: object) -> bool:  # noqa: D102 - as the protocol says
        if not isinstance(value, str) or len(value) > self.characters:
            return False
        if self.one_of:
            return value in self.one_of
        return self.form is None or re.fullmatch(self.form, value, re.ASCII) is not None

    def schema(self) -> Schema:  # noqa: D102
        if self.one_of:
            return {"enum": list(self.one_of)}
        if self.form is not None:
            return {"type": "string", "pattern": f"^{self.form}$"}
        return {"type": "string", "maxLength": self.characters}

    def pattern(self, shapes: Shapes) -> bytes:  # noqa: ARG002, D102
        if self.one_of:
            return b'"(?:' + b"|".join(re.escape(one).encode() for one in self.one_of) + b')"'
        if self.form is not None:
            return b'"' + self.form.encode() + b'"'
        return b'"[ !#-\\[\\]-~]{0,%d}+"' % self.characters


@dataclass(frozen=True, slots=True)
class Whole:
    """
    A whole number that every JSON reader can hold.

    Args:
        least: The smallest one.
        only: The only one.
    """

    least: int = 0
    only: int | None = None

    def holds(self, value: object) -> bool:  # noqa: D102
        if type(value) is not int:
            return False
        return value == self.only if self.only is not None else self.least <= value <= SAFE_INT

    def schema(self) -> Schema:  # noqa: D102
        if self.only is not None:
            return {"const": self.only}
        return {"type": "integer", "minimum": self.least, "maximum": SAFE_INT}

    def pattern(self, shapes: Shapes) -> bytes:  # noqa: ARG002, D102
        if self.only is not None:
            return b"%d" % self.only
        return _COUNT if self.least == 0 else rb"[1-9][0-9]{0,14}+"


@dataclass(frozen=True, slots=True)
class Flag:
    """True or false."""

    def holds(self, value: object) -> bool:  # noqa: D102
        return isinstance(value, bool)

    def schema(self) -> Schema:  # noqa: D102
        return {"type": "boolean"}

    def pattern(self, shapes: Shapes) -> bytes:  # noqa: ARG002, D102
        return b"(?:true|false)"


@dataclass(frozen=True, slots=True)
class Facts:
    """A flat mapping with free keys in ASCII: strings, whole numbers, true, false, null."""

    entries: int = 16
    characters: int = 64

    def holds(self, value: object) -> bool:  # noqa: D102
        return (
            isinstance(value, dict)
            and len(value) <= self.entries
            and all(len(key) <= self.characters and key.isascii() and _is_fact(one, self) for key, one in value.items())
        )

    def schema(self) -> Schema:  # noqa: D102
        key = {"pattern": "^[ -~]*$", "maxLength": self.characters}
        value = [
            {"type": "string", "maxLength": self.characters},
            {"type": "integer", "minimum": -SAFE_INT, "maximum": SAFE_INT},
            {"type": "boolean"},
            {"type": "null"},
        ]
        return {
            "type": "object",
            "propertyNames": key,
            "maxProperties": self.entries,
            "additionalProperties": {"anyOf": value},
        }

    def pattern(self, shapes: Shapes) -> bytes:  # noqa: D102
        string = b'"[ !#-\\[\\]-~]{0,%d}+"' % self.characters
        value = b"(?:" + string + b"|" + _WHOLE + b"|true|false|null)"
        known = [
            b"\\{" + b",".join(b'"' + re.escape(key).encode() + b'":' + value for key in shape) + b"\\}"
            for shape in sorted(shapes)
            if len(shape) <= self.entries
        ]
        return b"(?>" + b"|".join([b"\\{\\}", *known, b"\\{" + string + b":" + value + b"\\}"]) + b")"


@dataclass(frozen=True, slots=True)
class Fields:
    """An object with known fields only."""

    must: Mapping[str, Kind]
    may: Mapping[str, Kind] = field(default_factory=dict)

    def holds(self, value: object) -> bool:  # noqa: D102
        return isinstance(value, dict) and wrong(value, self) is None

    def schema(self) -> Schema:  # noqa: D102
        known = {**self.must, **self.may}
        return {
            "type": "object",
            "properties": {name: known[name].schema() for name in sorted(known)},
            "required": sorted(self.must),
            "additionalProperties": False,
        }

    def pattern(self, shapes: Shapes) -> bytes:  # noqa: D102
        return _object(self, {name: kind.pattern(shapes) for name, kind in {**self.must, **self.may}.items()})


@dataclass(frozen=True, slots=True)
class Several:
    """A list of one kind."""

    of: Kind

    def holds(self, value: object) -> bool:  # noqa: D102
        return isinstance(value, list) and all(map(self.of.holds, value))

    def schema(self) -> Schema:  # noqa: D102
        return {"type": "array", "items": self.of.schema()}

    def pattern(self, shapes: Shapes) -> bytes:  # noqa: D102
        return b"\\[(?:" + self.of.pattern(shapes) + b"(?:,|(?=\\])))*+(?<!,)\\]"


def wrong(record: Mapping[str, object], rule: Fields) -> str | None:
    """What is wrong with *record*, in our words; None if nothing."""
    for name, kind in rule.must.items():
        if name not in record:
            return f"{name} is missing"
        if not kind.holds(record[name]):
            return f"{name} has another form"
    for name, value in record.items():
        if name not in rule.must:
            known = rule.may.get(name)
            if known is None:
                return "a field that no record has"
            if not known.holds(value):
                return f"{name} has another form"
    return None


def shapes_in(value: object, rule: Kind) -> Iterator[tuple[str, ...]]:
    """The key sets of free mappings in a value that the rule holds for; those of one key need not be known."""
    match rule:
        case Facts() if isinstance(value, dict):
            if len(value) > 1 and all(re.fullmatch(_PLAIN_KEY, key) for key in value):
                yield tuple(sorted(value))
        case Fields() if isinstance(value, dict):
            known = {**rule.must, **rule.may}
            for name, one in value.items():
                yield from shapes_in(one, known[name])
        case Several() if isinstance(value, list):
            for one in value:
                yield from shapes_in(one, rule.of)
        case _:
            return


def compiled(
    rule: Fields, shapes: Iterable[tuple[str, ...]], captured: Iterable[str], compared: Iterable[str] = ()
) -> re.Pattern[bytes]:
    """
    The pattern of whole lines; the values of the fields *captured*, without quotation marks, are its groups.

    Args:
        rule: Of one stage.
        shapes: Key sets of free mappings that were seen.
        captured: Names of strings and numbers; a group is None where the field is missing.
        compared: Those of them that the caller compares with what they must be, so that the pattern need not look at their
            characters: a tenth of its time.
    """
    seen = frozenset(shapes)
    patterns = {name: kind.pattern(seen) for name, kind in {**rule.must, **rule.may}.items()}
    for name in compared:
        kind = {**rule.must, **rule.may}[name]
        patterns[name] = b'"[^"]{%d}"' % (kind.characters if isinstance(kind, Word) else 0)
    for name in captured:
        inner = patterns[name]
        patterns[name] = b'"(' + inner[1:-1] + b')"' if inner.startswith(b'"') else b"(" + inner + b")"
    return re.compile(_object(rule, patterns))


def _object(rule: Fields, patterns: Mapping[str, bytes]) -> bytes:
    """An object with sorted keys; a comma stands behind each field that something must follow, else where something does."""
    last = max(rule.must, default="")
    parts = []
    for name in sorted(patterns):
        comma = b"," if name < last else b"" if name == last == max(patterns) else b"(?:,|(?=\\}))"
        part = b'"' + name.encode() + b'":' + patterns[name] + comma
        parts.append(part if name in rule.must else b"(?:" + part + b")?+")
    return b"\\{" + b"".join(parts) + (b"\\}" if last == max(patterns) else b"(?<!,)\\}")


def _is_fact(value: object, rule: Facts) -> bool:
    match value:
        case None | bool():
            return True
        case int():
            return -SAFE_INT <= value <= SAFE_INT
        case str():
            return len(value) <= rule.characters
        case _:
            return False


_PLAIN_KEY: Final = r"[ !#-\[\]-~]*"
