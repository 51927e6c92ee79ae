"""Values of a policy file that are more than words and numbers: durations, rates, hours, secrets, operators."""

from __future__ import annotations

import os
import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Annotated, Any, Final, NoReturn

from pydantic import BeforeValidator, GetCoreSchemaHandler, WithJsonSchema
from pydantic_core import CoreSchema, PydanticCustomError, core_schema

from guardrails.errors import ConfigError
from guardrails.pii.operators import DEFAULT
from guardrails.ratelimit.limit import Limit
from guardrails.ratelimit.people.cap import read_rate
from guardrails.ratelimit.people.unique import read_window

__all__ = [
    "DEFAULT",
    "DURATIONS",
    "OPERATORS",
    "CapText",
    "Duration",
    "InstantText",
    "NamesText",
    "Operator",
    "PatternText",
    "Rate",
    "RateText",
    "Secret",
    "Times",
    "WindowText",
    "instant",
    "quiet_minutes",
    "read_rate",
    "read_window",
]

# Settings that are durations: seconds in code.
DURATIONS: Final = frozenset(
    {
        "anchor_grace",
        "budget",
        "canary_every",
        "checkpoint_within",
        "deadline",
        "keep",
        "lease",
        "longest",
        "rotate",
        "timeout",
        "wait",
        "within",
    }
)
_UNITS: Final = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3_600.0, "d": 86_400.0}
_DURATION: Final = re.compile(r"([0-9]{1,9}(?:\.[0-9]{1,3})?)\s*(ms|s|m|h|d)")
_HOURS: Final = re.compile(r"([0-9]{2}):([0-5][0-9])-([0-9]{2}):([0-5][0-9])")
_SPACY: Final = re.compile(r"spacy:[A-Za-z0-9_]{1,100}")
_DAY_MINUTES: Final = 24 * 60
_VARIABLE: Final = re.compile(r"\$\{([A-Za-z_][A-Za-z0-9_]*)\}")
_MOST_SECRET_BYTES: Final = 65_536

# From the one that leaves most of a value to the one that lets nothing pass.
OPERATORS: Final = ("keep", "partial", "pseudonym", "encrypt", "hash", "synthetic", "replace", "redact", "block")
_PARAMETERS: Final[dict[str, dict[str, type]]] = {"partial": {"keep_last": int}, "replace": {"new_value": str}}
_KEEP_LAST: Final = 4


def refuse(text: str) -> NoReturn:
    """Say what is wrong with a value."""
    raise PydanticCustomError("policy", "{text}", {"text": text})


def seconds(value: object) -> float:
    """
    A duration such as `15m`, in seconds.

    >>> seconds("1.5h"), seconds("500ms")
    (5400.0, 0.5)
    """
    if isinstance(value, str):
        found = _DURATION.fullmatch(value.strip())
        if found is not None:
            return float(found[1]) * _UNITS[found[2]]
    refuse('a duration with its unit, such as "500ms", "2s", "15m", "24h" or "30d"')


Duration = Annotated[
    float,
    BeforeValidator(seconds),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]{1,9}(\.[0-9]{1,3})?\s*(ms|s|m|h|d)$", "examples": ["15m"]}),
]


def spelled(duration_seconds: float) -> str:
    """
    A duration as a policy spells it.

    >>> spelled(5400.0), spelled(0.5)
    ('90m', '500ms')
    """
    for unit, length in reversed(_UNITS.items()):
        if not duration_seconds:
            return "0s"
        if duration_seconds % length == 0:
            return f"{duration_seconds / length:.0f}{unit}"
    return f"{duration_seconds * 1_000:.0f}ms"


class Rate:
    """
    A rate as `Limit` reads it.

    Attributes:
        amount: Units in one window.
        window_seconds: Length of the window.
    """

    __slots__ = ("amount", "window_seconds")

    def __init__(self, text: str) -> None:
        limit = Limit(text, strategy="fixed-window")
        self.amount: int = limit.amount
        self.window_seconds: int = limit.window_seconds


def _checked_by(read: Callable[[str], object], example: str) -> Callable[[object], str]:
    """A text that *read* can read; *example* says which, where something else stands."""

    def checked(value: object) -> str:
        if not isinstance(value, str):
            refuse(f"write {example}")
        try:
            read(value)
        except ConfigError as error:
            problem = str(error)
        else:
            return value
        return refuse(problem)

    return checked


def quiet_minutes(hours: str) -> tuple[int, int]:
    """
    When hours such as "21:00-08:00" begin and end, in minutes of the day on which they begin.

    >>> quiet_minutes("21:00-08:00"), quiet_minutes("12:00-24:00")
    ((1260, 1920), (720, 1440))

    Raises:
        ConfigError: They are no hours, or a whole day.
    """
    found = _HOURS.fullmatch(hours)
    begin, end = (60 * int(found[1]) + int(found[2]), 60 * int(found[3]) + int(found[4])) if found else (0, 0)
    if begin >= _DAY_MINUTES or end > _DAY_MINUTES or not (length := (end - begin) % _DAY_MINUTES) > 0:
        raise ConfigError('hours are written "21:00-08:00", and leave a part of the day')
    return begin, begin + length


def _pattern(text: str) -> object:
    try:
        return re.compile(text)
    except (re.error, RecursionError, OverflowError) as error:
        problem = str(error)
    raise ConfigError(f"this is no regular expression ({problem})")


def instant(text: str) -> datetime:
    """
    An instant.

    Raises:
        ConfigError: It is none, or has no offset.
    """
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        found = None
    if found is None or found.tzinfo is None:
        raise ConfigError('a time with its offset, such as "2026-03-02T22:30+01:00" or "2026-03-02T21:30Z"')
    return found


def _names(text: str) -> object:
    if text in ("off", "model") or _SPACY.fullmatch(text):
        return text
    raise ConfigError('write "off", "model" or "spacy:PACKAGE"')


InstantText = Annotated[
    str,
    BeforeValidator(_checked_by(instant, 'a time with its offset, such as "2026-03-02T22:30+01:00"')),
    WithJsonSchema({"type": "string", "examples": ["2026-03-02T22:30+01:00"]}),
]
NamesText = Annotated[
    str,
    BeforeValidator(_checked_by(_names, '"off", "model" or "spacy:PACKAGE"')),
    WithJsonSchema({"type": "string", "examples": ["model", "off"]}),
]
PatternText = Annotated[
    str,
    BeforeValidator(_checked_by(_pattern, "a regular expression")),
    WithJsonSchema({"type": "string", "format": "regex"}),
]
RateText = Annotated[
    str,
    BeforeValidator(_checked_by(Rate, 'a rate, such as "5/minute" or "100 per 10 seconds"')),
    WithJsonSchema({"type": "string", "examples": ["5/minute", "100 per 10 seconds"]}),
]
Times = Annotated[
    str,
    BeforeValidator(_checked_by(quiet_minutes, 'hours, such as "21:00-08:00"')),
    WithJsonSchema({"type": "string", "pattern": r"^[0-9]{2}:[0-9]{2}-[0-9]{2}:[0-9]{2}$", "examples": ["21:00-08:00"]}),
]
CapText = Annotated[
    str,
    BeforeValidator(_checked_by(read_rate, '"3/day", "10/week" or "20/month"')),
    WithJsonSchema({"type": "string", "examples": ["3/day", "10/week"]}),
]
WindowText = Annotated[
    str,
    BeforeValidator(_checked_by(read_window, 'a length of time, such as "24h" or "7 days"')),
    WithJsonSchema({"type": "string", "examples": ["24h", "7 days"]}),
]


@dataclass(frozen=True, slots=True)
class Secret:
    """
    Where a secret is, or an address that may hold one. Read when it is used, and never shown.

    Args:
        where: "env", "file" or "text".
        name: Of the environment variable or file; the text itself.
    """

    where: str
    name: str

    def reveal(self, folder: str | os.PathLike[str] = "") -> str:
        """
        The secret.

        Args:
            folder: What a relative path of a file starts from.

        Raises:
            ConfigError: It is not there.
        """
        if self.where == "text":
            return self.name
        if self.where == "env":
            found = os.environ.get(self.name)
            if found:
                return found
            raise ConfigError(f"the environment variable {self.name} is not set", control="policy")
        try:
            with Path(folder, self.name).open("rb") as stream:
                raw = stream.read(_MOST_SECRET_BYTES + 1)
            if len(raw) <= _MOST_SECRET_BYTES:
                return raw.decode("utf-8").strip()
            why = "it is too large"
        except (OSError, ValueError) as error:
            why = type(error).__name__
        raise ConfigError(f"the secret in the file {self.name} cannot be read ({why})", control="policy")

    def __repr__(self) -> str:
        return f"Secret({self.where}{'' if self.where == 'text' else ':' + self.name})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Read by `secret`."""
        return core_schema.no_info_plain_validator_function(
            secret,
            metadata={
                "pydantic_js_functions": [
                    lambda _schema, _handler: {
                        "anyOf": [
                            {"type": "string", "examples": ["${GUARDRAILS_KEY}"]},
                            {
                                "type": "object",
                                "properties": {"env": {"type": "string"}, "file": {"type": "string"}},
                                "minProperties": 1,
                                "maxProperties": 1,
                                "additionalProperties": False,
                            },
                        ]
                    }
                ]
            },
        )


def secret(value: object) -> Secret:
    """`${NAME}`, `{env: NAME}`, `{file: PATH}`, or an address that holds no secret."""
    match value:
        case Secret():
            return value
        case str() if found := _VARIABLE.fullmatch(value.strip()):
            return Secret("env", found[1])
        case str() if "${" not in value and value.strip():
            return Secret("text", value)
        case {"env": str(name), **rest} if not rest and name:
            return Secret("env", name)
        case {"file": str(name), **rest} if not rest and name:
            return Secret("file", name)
        case _:
            return refuse("write ${NAME}, {env: NAME} or {file: PATH}, alone")


@dataclass(frozen=True, slots=True)
class Operator:
    """
    What becomes of a value that was found.

    Args:
        name: One of `OPERATORS`.
        parameters: Name and value of each.
    """

    name: str
    parameters: tuple[tuple[str, str | int], ...] = ()

    @property
    def keep_last(self) -> int:
        """Characters that `partial` keeps; 0 for all others."""
        return int(dict(self.parameters).get("keep_last", _KEEP_LAST)) if self.name == "partial" else 0

    def __str__(self) -> str:
        if not self.parameters:
            return self.name
        return f"{self.name}({', '.join(f'{name}={value!r}' for name, value in self.parameters)})"

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        """Read by `operator`."""
        return core_schema.no_info_plain_validator_function(
            operator, metadata={"pydantic_js_functions": [lambda _schema, _handler: _OPERATOR_SCHEMA]}
        )


def operator(value: object) -> Operator:
    """A name, or a name with its parameters: `{partial: {keep_last: 2}}`."""
    name: object = value
    given: object = {}
    if isinstance(value, Operator):
        return value
    if isinstance(value, dict) and len(value) == 1:
        [(name, given)] = value.items()
    if not isinstance(name, str) or name not in OPERATORS:
        refuse(f"an operator is one of {', '.join(OPERATORS)}, or one with parameters: {{partial: {{keep_last: 2}}}}")
    known: dict[str, type] = _PARAMETERS.get(name, {})
    if not isinstance(given, dict) or not given.keys() <= known.keys():
        refuse(f"{name} has {'the parameters ' + ', '.join(known) if known else 'no parameters'}")
    for key, one in given.items():
        if type(one) is not known[key] or (isinstance(one, int) and one < 1):
            refuse(f"{key} is {'an int of at least 1' if known[key] is int else 'text'}")
    return Operator(name, tuple(sorted(given.items())))


_OPERATOR_SCHEMA: Final = {
    "anyOf": [
        {"enum": list(OPERATORS)},
        {
            "type": "object",
            "properties": {
                name: {
                    "type": "object",
                    "properties": {key: {"type": "integer" if kind is int else "string"} for key, kind in known.items()},
                    "additionalProperties": False,
                }
                for name, known in _PARAMETERS.items()
            },
            "minProperties": 1,
            "maxProperties": 1,
            "additionalProperties": False,
        },
    ]
}
