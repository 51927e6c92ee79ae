"""
Presidio's phone recognizer without its repetition.

The places are those of Presidio; one scan (`guardrails.pii.fast.scan`) serves all regions. Where Presidio or phonenumbers is
not the code that the scan was made for (`guardrails.pii.fast.known`), or the recognizer was set up for another leniency, or
the text is very long, Presidio's own method runs.

Source: presidio-analyzer 2.2.366 `PhoneRecognizer.analyze`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any, Final

from phonenumbers import PhoneNumber, PhoneNumberMatch
from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.predefined_recognizers import PhoneRecognizer

from guardrails.pii.fast.known import knows_phones
from guardrails.pii.fast.scan import CANDIDATE, LONGEST, Scanner, candidate

_VALID: Final = 1  # phonenumbers.Leniency.VALID
_SHORT: Final = 6  # digits
_SIX_DIGITS: Final = candidate(_SHORT)
_UNIX_TIME: Final = re.compile(r"1[4-9]\d{8}")  # seconds since 1970, from 2014 to 2033
_WEAK_SCORE: Final = 0.3  # below the threshold of the default set; a context word lifts it above


def scanner_for(recognizer: PhoneRecognizer) -> Scanner | None:
    """What finds the same as *recognizer*, faster; None if nothing is known to."""
    regions = tuple(recognizer.supported_regions)
    if recognizer.leniency != _VALID or not set(regions) <= set(PhoneRecognizer.DEFAULT_SUPPORTED_REGIONS):
        return None
    return Scanner(regions) if knows_phones() else None


def places_of(recognizer: PhoneRecognizer) -> Callable[[str], Collection[tuple[int, int, float]]] | None:
    """
    What finds the places and scores that *recognizer* finds; None if only the recognizer itself does.

    A text without `gate_of` it has none.
    """
    scanner = scanner_for(recognizer) if type(recognizer).analyze in _SAME and "analyze" not in vars(recognizer) else None
    if scanner is None:
        return None

    score = recognizer.SCORE
    is_likely = isinstance(recognizer, LikelyPhone)

    def places(text: str) -> Collection[tuple[int, int, float]]:
        if len(text) > LONGEST:
            every = recognizer.analyze(text, recognizer.supported_entities)
            return [(found.start, found.end, found.score) for found in every]
        if not is_likely:
            return [(start, end, score) for start, end in scanner.places(text)]
        return [
            (start, end, min(score, most)) for start, end in scanner.places(text) if (most := likely(text[start:end])) > 0
        ]

    return places


def likely(number: str) -> float:
    """
    The highest score that a number may have: 1, less for one that says little, 0 for one that says nothing.

    >>> likely("1640"), likely("123456"), likely("+44 1632"), likely("212-555-0173"), likely("1764268800")
    (0.0, 0.3, 1.0, 1.0, 0.3)
    """
    digits = sum(map(str.isdigit, number))
    if digits < _SHORT:
        return 0.0
    is_weak = (digits == _SHORT and number[0] not in "+\uff0b") or _UNIX_TIME.fullmatch(number) is not None
    return _WEAK_SCORE if is_weak else 1.0


def gate_of(recognizer: PhoneRecognizer) -> re.Pattern[str]:
    """What every text holds in which *recognizer* finds something."""
    return _SIX_DIGITS if isinstance(recognizer, LikelyPhone) else CANDIDATE


class SharedPhone(PhoneRecognizer):
    """Phone numbers."""

    def load(self) -> None:
        """Read what the regions' numbers look like."""
        self._scanner = scanner_for(self)

    def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None) -> list[RecognizerResult]:
        """As `PhoneRecognizer.analyze`; the explanation names no region."""
        if self._scanner is None or len(text) > LONGEST:
            slow: list[RecognizerResult] = super().analyze(text, entities, nlp_artifacts)
            return slow
        if CANDIDATE.search(text) is None:
            return []
        found = [self._result(start, end, text) for start, end in sorted(self._scanner.places(text))]
        if not found:
            return []
        distinct: list[RecognizerResult] = EntityRecognizer.remove_duplicates(found)
        return distinct

    def _result(self, start: int, end: int, text: str) -> RecognizerResult:
        match = PhoneNumberMatch(start, text[start:end], PhoneNumber())  # only its place is read
        result: RecognizerResult = self._get_recognizer_result(  # type: ignore[no-untyped-call]  # presidio's own helper
            match, text, "one", None
        )
        return result


class LikelyPhone(SharedPhone):
    """
    Phone numbers; without those of few digits.

    Differs from Presidio: in Germany 1640 may be somebody's number, for those who live next door, and to Presidio any four digits
    that may be one are. Here six digits need a plus sign or a context word, and fewer are no number. The time of a log line
    ("1764268800") needs one, too: it is ten digits from 1 on, which no number of North America is.
    """

    def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None) -> list[RecognizerResult]:
        """As `SharedPhone.analyze`, with `likely` as the highest score."""
        found: list[RecognizerResult] = []
        if _SIX_DIGITS.search(text) is None:
            return found
        for result in super().analyze(text, entities, nlp_artifacts):
            result.score = min(result.score, likely(text[result.start : result.end]))
            if result.score > 0:
                found.append(result)
        return found


_SAME: Final = (PhoneRecognizer.analyze, SharedPhone.analyze, LikelyPhone.analyze)
