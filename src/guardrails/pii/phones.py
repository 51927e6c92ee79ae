"""
Presidio's phone recognizer without its repetition.

Presidio scans a text once for each of eight regions and parses every candidate again each time. Here a candidate with too few
digits for its region is not parsed, what was answered for one text is remembered until the end of that text (and no longer: it
is personal data), and a number with a country code is parsed once for all regions. The spans are Presidio's.

Source: presidio-analyzer 2.2.366 `PhoneRecognizer.analyze`; phonenumbers 9.0 `PhoneNumberMatcher._parse_and_verify`.
"""

from __future__ import annotations

import re
from typing import Any, Final

from phonenumbers import (
    COUNTRY_CODE_TO_REGION_CODE,
    PhoneMetadata,
    PhoneNumber,
    PhoneNumberMatch,
    PhoneNumberMatcher,
    country_code_for_region,
)
from presidio_analyzer import EntityRecognizer, RecognizerResult
from presidio_analyzer.predefined_recognizers import PhoneRecognizer

# All strings of up to three digits were tried, with and without "+": none is valid in Presidio's default regions.
LEAST_DIGITS: Final = 4
# Digits of one number are at most four punctuation characters apart; the only letter among those is "x".
_CANDIDATE: Final = re.compile(r"\d(?:[^\dA-WYZa-wyz]{0,4}\d){3}")
_DIGIT: Final = re.compile(r"\d")
_PLUS: Final = ("+", "\uff0b")

# Candidate, its neighbours and its region (None: any) to what phonenumbers made of it.
Memory = dict[tuple[str, str, str, str | None], PhoneNumber | None]


class Region:
    """
    What a number of a region must have, at least.

    Args:
        name: The region, such as `"US"`.
    """

    __slots__ = ("_abroad", "_least", "name")

    def __init__(self, name: str) -> None:
        self.name: str = name
        code = country_code_for_region(name)
        # A number is valid if it is one of any region that shares the country code.
        shared = [PhoneMetadata.metadata_for_region(region) for region in COUNTRY_CODE_TO_REGION_CODE.get(code, ())]
        general = [data.general_desc for data in shared if data is not None]
        lengths = [length for each in general if each is not None for length in each.possible_length]
        own = PhoneMetadata.metadata_for_region(name)
        self._least = max(LEAST_DIGITS, min(lengths, default=0))
        self._abroad = re.compile((own and own.international_prefix) or "")

    def rules_out(self, candidate: str) -> bool:
        """
        Whether *candidate*, and every part of it, has too few digits for its region.

        A number that may begin with "+" or a prefix to dial abroad can be of any region, and is not ruled out.
        """
        digits = _DIGIT.findall(candidate)
        if len(digits) >= self._least:
            return False
        if len(digits) < LEAST_DIGITS:
            return True
        number = "".join(digits)
        return candidate.isascii() and "+" not in candidate and self._abroad.search(number) is None


class Matcher(PhoneNumberMatcher):
    """
    Numbers of one region in one text.

    Args:
        text: The text.
        region: Region of numbers without a country code.
        leniency: As `phonenumbers.Leniency`.
        memory: Shared by the matchers of one text.
    """

    def __init__(self, text: str, region: Region, leniency: int, memory: Memory) -> None:
        super().__init__(text, region.name, leniency=leniency)
        self._region = region
        self._memory = memory

    def _extract_match(self, candidate: str, offset: int) -> PhoneNumberMatch | None:
        if self._region.rules_out(candidate):
            return None
        match: PhoneNumberMatch | None = super()._extract_match(candidate, offset)
        return match

    def _parse_and_verify(self, candidate: str, offset: int) -> PhoneNumberMatch | None:
        if self._region.rules_out(candidate):
            return None
        text: str = self.text
        end = offset + len(candidate)
        before = text[offset - 1] if offset else ""
        after = text[end] if end < len(text) else ""
        international = (candidate, before, after, None)
        known = self._memory.get(international)
        if known is not None:
            return PhoneNumberMatch(offset, candidate, known)
        regional = (candidate, before, after, self.preferred_region)
        if regional in self._memory:
            number = self._memory[regional]
            return None if number is None else PhoneNumberMatch(offset, candidate, number)
        match: PhoneNumberMatch | None = super()._parse_and_verify(candidate, offset)
        number = None if match is None else match.number
        self._memory[regional] = number
        if number is not None and candidate.startswith(_PLUS):
            self._memory[international] = number
        return match


class SharedPhone(PhoneRecognizer):
    """Phone numbers."""

    def load(self) -> None:
        """Read what the regions' numbers look like."""
        self._regions = tuple(map(Region, self.supported_regions))

    def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None) -> list[RecognizerResult]:  # noqa: ARG002
        """As `PhoneRecognizer.analyze`; the explanation names the region that was assumed."""
        if _CANDIDATE.search(text) is None:
            return []
        memory: Memory = {}
        found: dict[tuple[int, int], RecognizerResult] = {}
        for region in self._regions:
            for match in Matcher(text, region, self.leniency or 0, memory):
                place = (match.start, match.end)
                if place not in found:
                    result = self._get_recognizer_result(  # type: ignore[no-untyped-call]  # presidio's own helper
                        match, text, region.name, nlp_artifacts
                    )
                    found[place] = result
        distinct: list[RecognizerResult] = EntityRecognizer.remove_duplicates(list(found.values()))
        return distinct
