"""What Presidio leaves in the text and we do not; each recognizer also serves a plain engine."""

from __future__ import annotations

import random  # noqa: TID251 - seeded texts, nothing secret

import pytest
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import NoOpNlpEngine

from guardrails.pii import MaskPII
from guardrails.pii.recognizers import Gated, GatedCreditCard, GatedSsn, StrictUrl

SECOND_SERIES = ("2223003122003222", "2223 0031 2200 3222", "2223-0031-2200-3222", "2720992593319364")


@pytest.mark.parametrize("card", SECOND_SERIES)
def test_mastercards_second_series_is_masked(mask_pii: MaskPII, card: str) -> None:
    assert mask_pii.mask(f"My card is {card}, thanks")[0] == "My card is <CREDIT_CARD>, thanks"


@pytest.mark.parametrize("number", ["2223003122003223", "2220003122003225", "2721000000000004"])
def test_a_wrong_check_digit_or_range_is_no_card(mask_pii: MaskPII, number: str) -> None:
    assert "CREDIT_CARD" not in {finding.type for finding in mask_pii.find(f"reference {number}")}


def test_the_card_recognizer_serves_a_plain_engine() -> None:
    engine = AnalyzerEngine(
        registry=RecognizerRegistry(recognizers=[GatedCreditCard()], supported_languages=["en"]),
        nlp_engine=NoOpNlpEngine([{"lang_code": "en", "model_name": ""}]),
        supported_languages=["en"],
    )
    found = engine.analyze(f"My card is {SECOND_SERIES[0]}", language="en")
    assert [(each.entity_type, each.start, each.end) for each in found] == [("CREDIT_CARD", 11, 27)]


@pytest.mark.parametrize("entity", ["CREDIT_CARD", "US_SSN", "URL"])
def test_a_gate_lets_through_what_its_recognizer_finds(entity: str) -> None:
    kinds: dict[str, type[Gated]] = {"CREDIT_CARD": GatedCreditCard, "US_SSN": GatedSsn, "URL": StrictUrl}
    dice = random.Random(entity)  # noqa: S311 - seeded texts
    recognizer = kinds[entity]()  # type: ignore[call-arg]  # each names its own entity
    found = 0
    for _ in range(3_000):
        text = _altered(dice, dice.choice(SEEDS[entity]))
        results = super(Gated, recognizer).analyze(text, [entity], None)  # type: ignore[arg-type]  # it takes None
        found += bool(results)
        assert not results or recognizer.GATE.search(text)
    assert found > 300


SEEDS = {
    "CREDIT_CARD": ("4242 4242 4242 4242", "378282246310005", "4222222222222", *SECOND_SERIES),
    "US_SSN": ("078-05-1120", "219-09-9999", "219 09 9999", "219099999", "21909-9999", "219-099999"),
    "URL": ("https://example.com/a?b=c", "www1.1", "WWW.example.org", "example.net", "example.museum/ann", "a.\u212ae/b"),
}


def _altered(dice: random.Random, text: str) -> str:
    if dice.random() < 0.5:
        return f"{dice.choice(('', 'x ', '(', '='))}{text}{dice.choice(('', ' y', ').', ',1'))}"
    place = dice.randrange(len(text))
    return text[:place] + dice.choice((" ", "-", ".", "", "\u017f", "\u0663", text[place].swapcase())) + text[place + 1 :]
