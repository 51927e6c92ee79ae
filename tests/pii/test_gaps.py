"""What Presidio leaves in the text and we do not; each recognizer also serves a plain engine."""

from __future__ import annotations

import pytest
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import NoOpNlpEngine

from guardrails.pii import MaskPII
from guardrails.pii.recognizers import GatedCreditCard

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
