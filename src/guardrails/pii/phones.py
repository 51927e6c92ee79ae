"""
Presidio's phone recognizer without its repetition.

The places are those of Presidio; one scan (`guardrails.pii.fast.scan`) serves all regions. Where Presidio or phonenumbers is
not the code that the scan was made for (`guardrails.pii.fast.known`), or the recognizer was set up for another leniency, or
the text is very long, Presidio's own method runs.

Source: presidio-analyzer 2.2.366 `PhoneRecognizer.analyze`.
"""

from __future__ import annotations

from collections.abc import Callable, Collection
from typing import Any, Final

from phonenumbers import PhoneNumber, PhoneNumberMatch
from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.predefined_recognizers import PhoneRecognizer

from guardrails.pii.fast.known import knows_phones
from guardrails.pii.fast.scan import CANDIDATE, LONGEST, Scanner

_VALID: Final = 1  # phonenumbers.Leniency.VALID


def scanner_for(recognizer: PhoneRecognizer) -> Scanner | None:
    """What finds the same as *recognizer*, faster; None if nothing is known to."""
    regions = tuple(recognizer.supported_regions)
    if recognizer.leniency != _VALID or not set(regions) <= set(PhoneRecognizer.DEFAULT_SUPPORTED_REGIONS):
        return None
    return Scanner(regions) if knows_phones() else None


def places_of(recognizer: PhoneRecognizer) -> Callable[[str], Collection[tuple[int, int]]] | None:
    """
    What finds the places that *recognizer* finds; None if only the recognizer itself does.

    A text without `CANDIDATE` has none.
    """
    scanner = scanner_for(recognizer) if type(recognizer).analyze in _SAME and "analyze" not in vars(recognizer) else None
    if scanner is None:
        return None

    def places(text: str) -> Collection[tuple[int, int]]:
        if len(text) <= LONGEST:
            return scanner.places(text)
        return [(found.start, found.end) for found in recognizer.analyze(text, recognizer.supported_entities)]

    return places


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


_SAME: Final = (PhoneRecognizer.analyze, SharedPhone.analyze)
