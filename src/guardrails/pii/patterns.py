"""
Presidio's `Pattern` with a time limit that fails closed.

A Presidio recognizer gives each regular expression 60 seconds, then logs a warning and goes on without it: the text would
leave with whatever that pattern would have found. Here a pattern has one second, and running out of it is an error.

Source: presidio-analyzer 2.2.366, `PatternRecognizer.__analyze_patterns` and `IbanRecognizer.__analyze_patterns`.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from typing import Any, Final, Protocol

from presidio_analyzer import Pattern

PATTERN_SECONDS: Final = 1.0


class Searchable(Protocol):
    """The one method of a compiled `regex` pattern that recognizers use."""

    def finditer(self, text: str, /, *, timeout: float | None = None) -> Iterator[Any]:
        """The matches, in order; `TimeoutError` after *timeout* seconds."""


class PatternTimeoutError(Exception):
    """A regular expression ran out of time. Not a `TimeoutError`: Presidio takes those as "found nothing"."""


class TimedRegex:
    """A compiled regular expression whose search ends in time, or with an error."""

    __slots__ = ("_compiled", "_seconds")

    def __init__(self, compiled: Searchable, seconds: float) -> None:
        self._compiled = compiled
        self._seconds = seconds

    def finditer(self, text: str, *, timeout: float | None = None) -> Iterator[Any]:
        """
        As `regex.Pattern.finditer`; *timeout* (seconds) can only shorten ours.

        Raises:
            PatternTimeoutError: Out of time; names the limit, never the text.
        """
        seconds = self._seconds if timeout is None else min(timeout, self._seconds)
        try:
            yield from self._compiled.finditer(text, timeout=seconds)
        except TimeoutError:
            pass
        else:
            return
        raise PatternTimeoutError(f"a pattern took more than {seconds:g} seconds")


class TimedPattern(Pattern):
    """
    A Presidio pattern whose compiled form keeps time.

    Args:
        name: The pattern's name.
        regex: The regular expression.
        score: Confidence of a match, 0 to 1.
        seconds: Time for one text.
    """

    def __init__(self, name: str, regex: str, score: float, *, seconds: float = PATTERN_SECONDS) -> None:
        self.seconds: float = seconds
        self._timed: TimedRegex | None = None
        super().__init__(name, regex, score)

    @property  # type: ignore[override]  # presidio types it as always None
    def compiled_regex(self) -> TimedRegex | None:
        """What the recognizer searches with, once it has compiled it."""
        return self._timed

    @compiled_regex.setter
    def compiled_regex(self, compiled: Searchable | None) -> None:
        self._timed = None if compiled is None else TimedRegex(compiled, self.seconds)


def timed(patterns: Iterable[Pattern]) -> list[TimedPattern]:
    """Copies of *patterns* that keep time. Presidio shares the originals between all instances of a class."""
    return [TimedPattern(pattern.name, pattern.regex, pattern.score) for pattern in patterns]
