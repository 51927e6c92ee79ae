"""
Payment cards among other numbers: "order 1234 4242 4242 4242 4242".

Presidio reads from left to right and takes the first sixteen digits that could be a card; where those are none, the ones that
overlap with them are not tried. Here every group of digits may begin a card.

Source: ISO/IEC 7812-1: the check digit (Luhn), and issuer numbers as the card networks publish them.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, ClassVar, Final

from presidio_analyzer import EntityRecognizer, RecognizerResult

from guardrails.pii.recognizers import Gated

_GAP: Final = r"[ \t.\-/_\u00a0\u2007\u2009\u202f\u2010-\u2015]{1,3}"
_NUMBERS: Final = re.compile(rf"(?<![^\W_])\d+(?:{_GAP}\d+)*(?![^\W_])")
_GROUP: Final = re.compile(r"\d+")
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
        places = dict.fromkeys(place for row in _NUMBERS.finditer(text) for place in _cards(row))
        found = [RecognizerResult(entity, *place, EntityRecognizer.MAX_SCORE) for place in places]
        distinct: list[RecognizerResult] = EntityRecognizer.remove_duplicates(found)
        return distinct


class CardAmongNumbers(Gated, CardGroups):
    """Payment cards among other numbers, in groups of any size, with spaces, dots or dashes between them."""

    GATE: ClassVar[re.Pattern[str]] = re.compile(rf"\d(?:(?:{_GAP})?\d){{{_SHORTEST - 1}}}")


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
