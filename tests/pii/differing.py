"""Texts that phone numbers hide in, and the comparison of our recognizer with Presidio's; also used by `make differential`."""

from __future__ import annotations

import random  # noqa: TID251 - seeded texts, nothing secret
from collections.abc import Iterable, Iterator
from typing import Final

from presidio_analyzer.predefined_recognizers import PhoneRecognizer

from guardrails.pii.phones import SharedPhone
from tests.pii.texts import EXAMPLES

VALUES: Final = [value for values in EXAMPLES.values() for value in values]
WORDS: Final = (
    "Call",
    "on",
    "order 0012345",
    "at 10:30",
    "the 3/10/2011",
    "for $120.50",
    "or",
    "ext. 12",
    "fax:",
    "2012-01-02 08:00",
)
ALPHABETS: Final = (
    "0123456789" * 3 + "-. +()/x",
    "0123456789 ",
    "0123456789" * 2 + " -+().,:/xX#~;ext%$a\u00e9\u00a0\u0663\uff0b\uff08\uff09[]\n",
)
STARTS: Final = ("", "+", "00", "011", "0", "1", "49", "+49 ", "+1 ", "55", "0055", "91", "972", "33", "44", "(0", "014")


def texts(seed: str, count: int) -> Iterator[str]:
    """*count* texts, the same for the same seed."""
    dice = random.Random(seed)  # noqa: S311 - texts for a comparison
    for number in range(count):
        if number % 10 == 0:
            yield _mutated(dice, " ".join(dice.choices((*VALUES, *WORDS), k=dice.randint(2, 12))))
        else:
            alphabet = dice.choice(ALPHABETS)
            yield dice.choice(STARTS) + "".join(dice.choices(alphabet, k=dice.randint(3, 40)))


def _mutated(dice: random.Random, text: str) -> str:
    characters = list(text)
    for _ in range(dice.randint(0, 8)):
        place = dice.randrange(len(characters))
        characters[place] = dice.choice((*dice.choice(ALPHABETS), "", characters[place] * 2)) or " "
    return "".join(characters)


def compare(over: Iterable[str]) -> Iterator[int]:
    """Which of *over*, by number, have different results: entity, start, end or score."""
    plain, ours = PhoneRecognizer(), SharedPhone()
    for number, text in enumerate(over):
        if _answers(plain, text) != _answers(ours, text):
            yield number


def _answers(recognizer: PhoneRecognizer, text: str) -> list[tuple[str, int, int, float]]:
    found = recognizer.analyze(text, ["PHONE_NUMBER"], None)  # type: ignore[arg-type]  # it takes None
    return sorted((each.entity_type, each.start, each.end, each.score) for each in found)
