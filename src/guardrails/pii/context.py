"""
Context words, as whole words: "ssn 219099999" is a social security number, "classnumber 219099999" is a number.

Presidio lets a context word count inside of another word ("lic" in "duplicate") and needs lemmas of an NLP engine. Here the
words in front of a match are read from the text itself, and a context of several words ("driver license") counts as a whole.

No word counts across a placeholder: in a masked text nothing may gain a context that it had not before.

Source: the score and the reach are those of presidio-analyzer's `LemmaContextAwareEnhancer`.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Iterable, Sequence
from typing import Any, Final, final

from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.context_aware_enhancers import ContextAwareEnhancer

Phrases = tuple[tuple[str, ...], ...]

MORE: Final = 0.35  # score for a context word
LEAST: Final = 0.4  # score with a context word
WORDS: Final = 5  # in front of a match
_REACH: Final = 120  # characters in front of a match
_WORD: Final = re.compile(r"<[A-Z][A-Z0-9_]*>|[^\W_]+")
_ID: Final = RecognizerResult.RECOGNIZER_IDENTIFIER_KEY


def phrases(words: Iterable[str]) -> Phrases:
    """
    Context words of a recognizer, each as its single words.

    >>> phrases(["SSN", "driver license#"])
    (('ssn',), ('driver', 'license'))
    """
    split = (tuple(word.lower() for word in re.findall(r"[^\W_]+", phrase)) for phrase in words)
    return tuple(dict.fromkeys(phrase for phrase in split if phrase))


def in_context(text: str, start: int, of: Phrases) -> bool:
    """
    Whether one of the phrases stands among the words in front of *start*.

    >>> in_context("Ann's SSN is 219099999", 13, phrases(["ssn"]))
    True
    >>> in_context("lesson 219099999", 7, phrases(["son"]))
    False
    """
    begin = max(0, start - _REACH)
    region = text[begin:start]
    if region.isascii() and not _may_hold(region.lower(), of):  # most matches end here
        return False
    words: list[str] = []
    for match in _WORD.finditer(text, begin, start):
        word = match.group()
        if word[0] == "<":
            words = []
        elif match.start() > begin or begin == 0:  # the first one may be cut
            words.append(word.lower())
    words = words[-WORDS:]
    return any(
        tuple(words[place : place + len(phrase)]) == phrase
        for phrase in of
        for place in range(len(words) - len(phrase) + 1)
    )


def _may_hold(region: str, of: Phrases) -> bool:
    return any(phrase[0] in region for phrase in of)


def raised(score: float) -> float:
    """*score* of a match that has a context word."""
    return min(max(score + MORE, LEAST), ContextAwareEnhancer.MAX_SCORE)


@final
class WholeWords(ContextAwareEnhancer):
    """Raises the score of what has a context word in front of it; for any `AnalyzerEngine`."""

    def __init__(self) -> None:
        super().__init__(MORE, LEAST, context_prefix_count=WORDS, context_suffix_count=0)

    def enhance_using_context(
        self,
        text: str,
        raw_results: list[RecognizerResult],
        nlp_artifacts: Any,
        recognizers: list[EntityRecognizer],
        context: Sequence[str] | None = None,
    ) -> list[RecognizerResult]:
        """*raw_results*, those with a context word in front of them, or in *context*, with a higher score."""
        del nlp_artifacts
        known = {one.id: phrases(one.context or ()) for one in recognizers}
        given = set(phrases(context or ()))
        enhanced: list[RecognizerResult] = []
        for result in raw_results:
            of = known.get(str((result.recognition_metadata or {}).get(_ID)), ())
            if of and (not given.isdisjoint(of) or in_context(text, result.start, of)):
                result = copy.copy(result)  # noqa: PLW2901 - the caller's stays as it is
                result.score = raised(result.score)
            enhanced.append(result)
        return enhanced
