"""Values of a policy file that are more than words and numbers: durations, rates, hours, windows, times."""

from __future__ import annotations

import re
from collections.abc import Callable
from datetime import datetime
from typing import Annotated, Final, NoReturn

from pydantic import BeforeValidator, WithJsonSchema
from pydantic_core import PydanticCustomError

from guardrails.errors import ConfigError
from guardrails.pii.operators import DEFAULT
from guardrails.ratelimit.limit import Limit
from guardrails.ratelimit.people.cap import read_rate
from guardrails.ratelimit.people.unique import read_window

__all__ = [
    "DEFAULT",
    "DURATIONS",
    "CapText",
    "Duration",
    "FunctionText",
    "InstantText",
    "NamesText",
    "PatternText",
    "Rate",
    "RateText",
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
_FUNCTION: Final = re.compile(r"[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_.]*")
_DAY_MINUTES: Final = 24 * 60


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


def _function(text: str) -> object:
    if _FUNCTION.fullmatch(text):
        return text
    raise ConfigError("write package.module:name")


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


FunctionText = Annotated[
    str,
    BeforeValidator(_checked_by(_function, "package.module:name")),
    WithJsonSchema({"type": "string", "pattern": r"^[A-Za-z_][A-Za-z0-9_.]*:[A-Za-z_][A-Za-z0-9_.]*$"}),
]
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
