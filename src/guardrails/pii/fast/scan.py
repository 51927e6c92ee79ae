"""
One scan of a text for the phone numbers of several regions; the places are those of `PhoneNumberMatcher` with leniency VALID.

phonenumbers scans a text once a region and parses every candidate again each time. Here candidates are found once, and a
candidate of plain digits is only parsed for a region in whose numbering plan it could be. What was parsed is remembered until
the end of the text, and no longer: it is personal data.

Source: phonenumbers 9.0 `PhoneNumberMatcher._find`, `_extract_match`, `_extract_inner_match`, `_parse_and_verify`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from functools import lru_cache
from typing import Final, NamedTuple

from phonenumbers import NumberParseException, PhoneNumberMatcher, parse
from phonenumbers import phonenumbermatcher as theirs
from phonenumbers import phonenumberutil as shared

from guardrails.pii.fast.numbering import Numbering

LONGEST: Final = 4_000  # characters; longer texts could reach phonenumbers' limit of 65,535 tries
_VALID: Final = 1  # Leniency.VALID
_DIGIT: Final = re.compile(r"\d")


# All strings of up to three digits were tried, with and without "+": none is valid in Presidio's default regions.
# Digits of one number are at most four punctuation characters apart.
def candidate(digits: int) -> re.Pattern[str]:
    """What every number of at least so many digits holds."""
    punctuation = shared._VALID_PUNCTUATION  # noqa: SLF001 - the library's own
    return re.compile(rf"\d(?:[{punctuation}]{{0,4}}\d){{{digits - 1}}}", re.IGNORECASE)  # X is punctuation too


CANDIDATE: Final = candidate(4)
# An extension takes digits beyond letters with it: what follows is no candidate of its own.
_EXTENSION: Final = re.compile(
    r"\d(?:;ext|[ \xa0\t,]*(?:e?xt|x|#|~|int|\u0434\u043e\u0431|anexo|[\uff45\uff58\uff03\uff5e\uff49])|[- ]+\d{1,6}#)",
    re.IGNORECASE,
)
_SHORT: Final = 5  # digits: a year, a price, a time; nobody's number
_MOST_SHORT: Final = 4_096  # of them that are remembered
_LEAD_REACH: Final = 10  # characters: two leads with four punctuation characters each before the first digit
_SIMPLE: Final = re.compile(r"[0-9\-()\[\]./ ]+")
_DELETE: Final = dict.fromkeys(map(ord, "-()[]./ "))
LEAST_DIGITS: Final = 4
_MOST_DIGITS: Final = (
    40  # 17 of a number, and at most 17 that are taken off: a prefix abroad, a country code, prefixes inland
)


class Part(NamedTuple):
    """Something that could be a number: where, what, and its digits if it is made of digits and plain punctuation only."""

    start: int
    text: str
    digits: str | None


class Candidate(NamedTuple):
    """Where phonenumbers would go on if nothing in it is a number, and what it would try."""

    after: int
    parts: Sequence[Part]


class Scanner:
    """
    Finds the numbers of several regions.

    Args:
        regions: Regions of numbers without a country code.

    Raises:
        ValueError: phonenumbers does not know a region.
    """

    __slots__ = ("_could_be", "_matcher", "_regions")

    def __init__(self, regions: Sequence[str]) -> None:
        plans: dict[object, tuple[str, Numbering]] = {}
        for region in regions:
            plan = Numbering(region)
            plans.setdefault(plan.key, (region, plan))
        self._regions = tuple(plans.values())
        could_be = re.compile("|".join(plan.could_be for _, plan in self._regions)).fullmatch
        of_short = lru_cache(_MOST_SHORT)(lambda digits: could_be(digits) is not None)
        self._could_be = lambda digits: of_short(digits) if len(digits) <= _SHORT else could_be(digits) is not None
        self._matcher = PhoneNumberMatcher("", "US", leniency=_VALID)  # for its questions about characters; keeps no text

    def places(self, text: str) -> set[tuple[int, int]]:
        """Start and end of every number that a matcher of one of the regions finds."""
        scan = _Scan(text, self._matcher, self._regions, self._could_be)
        found: set[tuple[int, int]] = set()
        if not any(candidate.parts for candidate in scan.candidates()):
            return found
        for region, plan in self._regions:
            index = 0
            while (candidate := scan.at(index)) is not None:
                hit = next((part for part in candidate.parts if scan.is_number(part, region, plan)), None)
                index = candidate.after
                if hit is not None:
                    index = hit.start + len(hit.text)
                    found.add((hit.start, index))
        return found


class _Scan:
    """One text; forgotten with it."""

    __slots__ = ("_abroad", "_at", "_begin", "_could_be", "_matcher", "_parsed", "_possible", "_regions", "_text")

    def __init__(
        self,
        text: str,
        matcher: PhoneNumberMatcher,
        regions: Sequence[tuple[str, Numbering]],
        could_be: Callable[[str], bool],
    ) -> None:
        self._text = text
        self._begin = _DIGIT if _EXTENSION.search(text) else CANDIDATE
        self._could_be = could_be
        self._matcher = matcher
        self._regions = regions
        self._at: dict[int, Candidate | None] = {}
        self._possible: dict[str, bool] = {}
        self._parsed: dict[tuple[str, str], bool] = {}
        self._abroad: dict[str, bool | None] = {}

    def candidates(self) -> Iterator[Candidate]:
        """What is tried as long as nothing is found."""
        index = 0
        while (candidate := self.at(index)) is not None:
            yield candidate
            index = candidate.after

    def at(self, index: int) -> Candidate | None:
        """The first candidate from *index* on."""
        if index not in self._at:
            self._at[index] = self._next(index)
        return self._at[index]

    def _next(self, index: int) -> Candidate | None:
        digit = self._begin.search(self._text, index)
        if digit is None:
            return None
        first = digit.start()
        lead = theirs._LEAD_PATTERN.search(self._text, max(index, first - _LEAD_REACH), first)  # noqa: SLF001
        begin = first if lead is None else lead.start()
        match = theirs._PATTERN.search(self._text, begin)  # noqa: SLF001 - the library's own candidates, or nothing is equal
        if match is None:
            return None
        start = match.start()
        candidate = match.group()
        if "x" in candidate:
            candidate = self._trimmed(shared._SECOND_NUMBER_START_PATTERN, candidate)  # noqa: SLF001
        return Candidate(start + len(candidate), self._parts(start, candidate))

    def _trimmed(self, pattern: re.Pattern[str], text: str) -> str:
        trimmed: str = self._matcher._trim_after_first_match(pattern, text)  # noqa: SLF001
        return trimmed

    def _parts(self, start: int, candidate: str) -> Sequence[Part]:
        if len(candidate) < LEAST_DIGITS or theirs._SLASH_SEPARATED_DATES.search(candidate):  # noqa: SLF001
            return ()
        if theirs._TIME_STAMPS.search(candidate) and theirs._TIME_STAMPS_SUFFIX.match(  # noqa: SLF001
            self._text, start + len(candidate)
        ):
            return ()
        parts = [self._part(start, candidate)]
        if not candidate.isdigit():
            parts += self._inner(start, candidate)
        return [part for part in parts if part is not None]

    def _inner(self, start: int, candidate: str) -> Iterator[Part | None]:
        end_of = shared._UNWANTED_END_CHAR_PATTERN  # noqa: SLF001
        for pattern in theirs._INNER_MATCHES:  # noqa: SLF001
            match = pattern.search(candidate)
            if match is not None:
                yield self._part(start, self._trimmed(end_of, candidate[: match.start()]))
            while match is not None:
                yield self._part(start + match.start(1), self._trimmed(end_of, match.group(1)))
                match = pattern.search(candidate, match.start() + 1)

    def _part(self, start: int, text: str) -> Part | None:
        """None if it is a number in no region."""
        digits = None
        if _SIMPLE.fullmatch(text):
            digits = text.translate(_DELETE)
            if not LEAST_DIGITS <= len(digits) <= _MOST_DIGITS or not self._is_possible(digits):
                return None
        if not theirs._MATCHING_BRACKETS.fullmatch(text) or theirs._PUB_PAGES.search(text):  # noqa: SLF001
            return None
        if start > 0 and not theirs._LEAD_PATTERN.match(text) and self._spoils(self._text[start - 1]):  # noqa: SLF001
            return None
        end = start + len(text)
        return None if end < len(self._text) and self._spoils(self._text[end]) else Part(start, text, digits)

    def _is_possible(self, digits: str) -> bool:
        """As `could_be`, which costs more than asking twice."""
        known = self._possible.get(digits)
        if known is None:
            known = self._possible[digits] = self._could_be(digits)
        return known

    def _spoils(self, neighbour: str) -> bool:
        """Whether nothing beside *neighbour* is a number: a Latin letter, a percent sign, a currency sign."""
        if neighbour.isascii():
            return neighbour in "%$" or neighbour.isalpha()
        return bool(
            self._matcher._is_invalid_punctuation_symbol(neighbour)  # noqa: SLF001
            or self._matcher._is_latin_letter(neighbour)  # noqa: SLF001
        )

    def is_number(self, part: Part, region: str, plan: Numbering) -> bool:
        """Whether a matcher of *region* takes *part*."""
        text = part.text
        if part.digits is not None:
            text = part.digits  # what parse makes of it anyway
            if (key := (text, region)) in self._parsed:
                return self._parsed[key]
            verdict = plan.verdict(text) if plan.may_be(text) else False
            if verdict is not None:
                self._parsed[key] = verdict
                return verdict
            rest = plan.dialled_abroad(text)
            if rest is not None:
                return bool(self._from_abroad(f"+{rest}"))
        elif text[0] in "+\uff0b":
            known = self._from_abroad(text)
            if known is not None:
                return known
        key = (text, region)
        if key not in self._parsed:
            self._parsed[key] = bool(self._parse(text, region))
        return self._parsed[key]

    def _from_abroad(self, text: str) -> bool | None:
        """As `_parse`, for a number with its country code: one answer for all regions."""
        if text not in self._abroad:
            self._abroad[text] = self._parse(text, None)
        return self._abroad[text]

    def _parse(self, text: str, region: str | None) -> bool | None:
        """What phonenumbers says; None if it cannot read it."""
        try:
            number = parse(text, region, keep_raw_input=True)
        except NumberParseException:
            return None
        return bool(theirs._verify(_VALID, number, text, self._matcher))  # noqa: SLF001
