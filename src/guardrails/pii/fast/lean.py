"""
Presidio's loop over the patterns of a recognizer, without what a text that holds nothing pays for.

Left out are explanations, log lines and clocks; kept are the order of the questions, scores and checks. A pattern has its own
compiled form here: Presidio's objects are shared by all recognizers of a class, and hold the one that was compiled last.

Source: presidio-analyzer 2.2.366 `PatternRecognizer.analyze` and `PatternRecognizer.__analyze_patterns`.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, final

import regex  # type: ignore[import-untyped]  # it has no types
from presidio_analyzer import EntityRecognizer, Pattern, PatternRecognizer

from guardrails.pii.failures import SpeakableError
from guardrails.pii.patterns import PATTERN_SECONDS


@final
class LeanPattern:
    """
    One pattern of one recognizer.

    Args:
        recognizer: Whose it is; its own checks are asked.
        source: The regular expression.
        flags: To compile it with.
        score: Of a match that no check spoke about.
        seconds: Time for one text.
    """

    __slots__ = ("_finditer", "_invalidate", "_validate", "flags", "recognizer", "score", "seconds", "source")

    def __init__(self, recognizer: PatternRecognizer, source: str, flags: int, score: float, seconds: float) -> None:
        self.recognizer: PatternRecognizer = recognizer
        self.source: str = source
        self.flags: int = flags
        self.score: float = score
        self.seconds: float = seconds
        self._finditer: Callable[..., Iterator[Any]] = regex.compile(source, flags=flags).finditer
        kind = type(recognizer)
        self._validate = None if kind.validate_result is PatternRecognizer.validate_result else recognizer.validate_result
        self._invalidate = (
            None if kind.invalidate_result is PatternRecognizer.invalidate_result else recognizer.invalidate_result
        )

    def found(self, text: str) -> Iterator[tuple[int, int, float]]:
        """
        Start, end and score of each match that passes the recognizer's checks.

        Raises:
            SpeakableError: The pattern ran out of time; the text may hold what it would have found.
        """
        validate, invalidate = self._validate, self._invalidate
        try:
            for match in self._finditer(text, timeout=self.seconds):
                start, end = match.span()
                if start == end:
                    continue
                score = self.score
                if validate is not None:
                    verdict = validate(text[start:end])
                    if verdict is not None:
                        score = EntityRecognizer.MAX_SCORE if verdict else EntityRecognizer.MIN_SCORE
                if invalidate is not None and invalidate(text[start:end]):
                    score = EntityRecognizer.MIN_SCORE
                if score > EntityRecognizer.MIN_SCORE:
                    yield start, end, score
        except TimeoutError:
            pass
        else:
            return
        raise SpeakableError(
            f"a pattern of recognizer {type(self.recognizer).__name__} took more than {self.seconds:g} seconds"
        )


def lean_patterns(recognizer: PatternRecognizer) -> list[LeanPattern]:
    """The patterns of *recognizer*, in order."""
    return [
        LeanPattern(recognizer, one.regex, flags, one.score, getattr(one, "seconds", PATTERN_SECONDS))
        for one, flags in patterns_of(recognizer)
    ]


def patterns_of(recognizer: Any) -> list[tuple[Pattern, int]]:
    """The patterns of *recognizer*, in order, each with the flags that it is compiled with."""
    flags = int(recognizer.global_regex_flags or 0)
    return [(pattern, flags) for pattern in recognizer.patterns]
