"""
Payment cards among other numbers: "order 1234 4242 4242 4242 4242".

Presidio reads from left to right and takes the first sixteen digits that could be a card; where those are none, the ones that
overlap with them are not tried. Here every group of digits may begin a card, also where letters are glued to it
("id4111111111111111x"), but not inside of a hexadecimal number.

Commas, bars, stars and line breaks (of quoted mail, too) stand between the numbers of a list as well: there, only groups count
that are those of a card, with no further group of four beside them.

Source: ISO/IEC 7812-1: the check digit (Luhn), and issuer numbers as the card networks publish them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar, Final

from presidio_analyzer import EntityRecognizer, RecognizerResult

from guardrails.pii.recognizers import Gated

_GAP: Final = r"[ \t.\-/_\u00a0\u2007\u2009\u202f\u2010-\u2015]{1,3}"
_NUMBERS: Final = re.compile(rf"\d+(?:{_GAP}\d+)*")
_GROUP: Final = re.compile(r"\d+")
_TOKEN: Final = re.compile(r"[^\W_]*")
_HEX: Final = re.compile(r"[0-9A-Fa-f]{24,}")  # a card with a word of these letters glued to it is no longer than that
_FOLD: Final = r"(?:[ \-]|[ \t]{0,3}\r?\n[> \t]{0,8})"  # a card that a mail program broke in two
_LISTED: Final = r"[ \t]{0,3}[,|*;][ \t]{0,3}"
_SPREAD: Final = re.compile(
    rf"(?<!\d)(?:\d{{4}}(?P<comma>{_LISTED})\d{{4}}(?P=comma)\d{{4}}(?P=comma)\d{{4}}"
    rf"|\d{{4}}(?P<bar>{_LISTED})\d{{6}}(?P=bar)\d{{5}}"
    rf"|\d{{4}}{_FOLD}\d{{4}}{_FOLD}\d{{4}}{_FOLD}\d{{4}}|\d{{4}}{_FOLD}\d{{6}}{_FOLD}\d{{5}})(?!\d)"
)
_MORE_BEFORE: Final = re.compile(r"(?<!\d)\d{4}[\s,|*;>-]{1,6}\Z")
_MORE_BEHIND: Final = re.compile(r"[\s,|*;>-]{1,6}\d{4}(?!\d)")
_MOST_BEFORE: Final = 10  # characters of one more group and what stands behind it
_SHORTEST, _LONGEST = 13, 19  # digits
_LEAST_OF_GROUP: Final = 3  # digits of every group but the last
_ISSUER: Final = re.compile(
    r"(?:4|5[1-5]|222[1-9]|22[3-9]|2[3-6]|27[01]|2720|3[47]|6011|64[4-9]|65|30[0-59]|36|3[89]|35(?:2[89]|[3-8])|62)"
)
_LENGTHS: Final = {  # by first digit
    "2": (16,),
    "3": (14, 15, 16, 17, 18, 19),
    "4": (13, 16, 19),
    "5": (16,),
    "6": (16, 17, 18, 19),
}


class CardGroups(EntityRecognizer):
    """Looks at every row of groups of digits."""

    def __init__(
        self,
        supported_language: str = "en",
        supported_entity: str = "CREDIT_CARD",
        name: str = "CardAmongNumbers",
    ) -> None:
        super().__init__(supported_entities=[supported_entity], supported_language=supported_language, name=name)

    def load(self) -> None:
        """Nothing to load."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: Any = None) -> list[RecognizerResult]:
        """The cards in *text*."""
        del nlp_artifacts
        entity = self.supported_entities[0]
        if entity not in entities:
            return []
        places = dict.fromkeys(place for row in _NUMBERS.finditer(text) for place in _cards(row) if _is_apart(text, *place))
        places |= dict.fromkeys(match.span() for match in _SPREAD.finditer(text) if _is_spread(text, match))
        found = [RecognizerResult(entity, *place, EntityRecognizer.MAX_SCORE) for place in places]
        distinct: list[RecognizerResult] = EntityRecognizer.remove_duplicates(found)
        return distinct


class CardAmongNumbers(Gated, CardGroups):
    """Payment cards among other numbers, in groups of any size, with spaces, dots or dashes between them."""

    GATE: ClassVar[re.Pattern[str]] = re.compile(
        rf"\d(?:(?:{_GAP})?\d){{{_SHORTEST - 1}}}|\d{{4}}[ \t\r\n,|*;>\-]{{1,16}}\d{{4,6}}[ \t\r\n,|*;>\-]{{1,16}}\d{{4}}"
    )


def _cards(row: re.Match[str]) -> Iterator[tuple[int, int]]:
    """Start and end of each card in a row of groups of digits."""
    groups = [(group.start(), group.end(), group.group()) for group in _GROUP.finditer(row.group())]
    for first, (start, _, _) in enumerate(groups):
        number = ""
        for _, end, digits in groups[first:]:
            number += digits
            if len(number) > _LONGEST:
                break
            if len(number) >= _SHORTEST and is_card(number):
                yield row.start() + start, row.start() + end
            if len(digits) < _LEAST_OF_GROUP:
                break


def _is_apart(text: str, start: int, end: int) -> bool:
    """Whether what stands there is no part of a hexadecimal number."""
    before = _TOKEN.match(text[max(0, start - _LONGEST) : start][::-1])
    behind = _TOKEN.match(text, end, end + _LONGEST)
    if before is None or behind is None or not (before.group() or behind.group()):
        return True
    return _HEX.fullmatch(before.group()[::-1] + text[start:end] + behind.group()) is None


def _is_spread(text: str, match: re.Match[str]) -> bool:
    """Whether groups with commas, bars, stars or line breaks between them are a card."""
    if not is_card("".join(_GROUP.findall(match.group()))):
        return False
    before = text[max(0, match.start() - _MOST_BEFORE) : match.start()]
    return _MORE_BEFORE.search(before) is None and _MORE_BEHIND.match(text, match.end()) is None


def is_card(number: str) -> bool:
    """
    Whether *number* has the length, the first digits and the check digit of a card.

    >>> is_card("4242424242424242"), is_card("4242424242424243"), is_card("4917610000000000003")
    (True, False, True)
    """
    if _ISSUER.match(number) is None or len(number) not in _LENGTHS[str(int(number[0]))]:
        return False
    digits = [int(one) for one in reversed(number)]
    doubled = (sum(divmod(2 * one, 10)) for one in digits[1::2])
    return (sum(digits[::2]) + sum(doubled)) % 10 == 0
