"""Numbers of people are found by the words in front of them, and the words stay."""

from __future__ import annotations

import pytest
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import NoOpNlpEngine

from guardrails.pii import MaskPII
from guardrails.pii.labelled import LabelledNumber, LabelledPhone


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("passport X12345678 and", "passport <ID> and"),
        ("my driving licence number is MORGA753116SM9IJ", "my driving licence number is <ID>"),
        ("driver's license: D1234567, CA", "driver's license: <ID>, CA"),
        ("NI number QQ 12 34 56 C.", "NI number <ID>."),
        ("Codice fiscale RSSMRA85T10A562S", "Codice fiscale <ID>"),
        ("DNI: 12345678Z", "DNI: <ID>"),
        ("BSN 123456782", "BSN <ID>"),
        ("Steuer-ID 86095742719", "Steuer-ID <ID>"),
        ("Sozialversicherungsnummer 65 070649 C 103", "Sozialversicherungsnummer <ID>"),
        ("Aadhaar is 2345 6789 0124", "Aadhaar is <ID>"),
        ("account number 12345678 sort code 12-34-56", "account number <ID> sort code <ID>"),
        ("Member ID: XYZ123456789", "Member ID: <ID>"),
        ('{"passport_number": "X1234567"}', '{"passport_number": "<ID>"}'),
        ('{\\"national_id\\":\\"12345678\\"}', '{\\"national_id\\":\\"<ID>\\"}'),
        ("accountNo=00123456&x=1", "accountNo=<ID>&x=1"),
    ],
)
def test_a_number_behind_its_label_is_masked(mask_pii: MaskPII, text: str, expected: str) -> None:
    assert mask_pii.mask(text)[0] == expected


@pytest.mark.parametrize(
    "text",
    [
        "your passport expires in 2027",
        "my account was closed on 12 May",
        "sin 50000 euros",
        "nie 10000 mal",
        "the account has 12,345.67 in it",
        "tax 12345.67",
        "employee 12345 of 20000",
        "a passport, 2 photos and 35 euros",
        "order 12345678",
        "compte rendu du 12 mai",
    ],
)
def test_other_numbers_and_words_stay(mask_pii: MaskPII, text: str) -> None:
    assert "ID" not in {found.type for found in mask_pii.find(text)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("my NINO is AB123456C", "UK_NINO"),
        ("passport number 123456789", "US_PASSPORT"),
        ("NHS number 943 476 5919", "UK_NHS"),
    ],
)
def test_who_is_made_for_a_number_names_it(text: str, expected: str) -> None:
    assert [found.type for found in MaskPII(names="off", countries=["uk", "us"]).find(text)] == [expected]


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("mi tel\u00e9fono es 612 34 56 78", "mi tel\u00e9fono es <PHONE_NUMBER>"),
        ("o meu n\u00famero \u00e9 912 345 678", "o meu n\u00famero \u00e9 <PHONE_NUMBER>"),
        ("mein Handy: 0176-1234567", "mein Handy: <PHONE_NUMBER>"),
        ("mon num c 07 12 34 56 78", "mon num c <PHONE_NUMBER>"),
        ("bel 0900-12345", "bel <PHONE_NUMBER>"),
        ('"mobile": "91234567"', '"mobile": "<PHONE_NUMBER>"'),
        ("Tel. 9-17 10-14", "Tel. 9-17 10-14"),
        ("Call 12.03.2026 or 2026-03-12", "Call 12.03.2026 or 2026-03-12"),
        ("mobile 2 500 000 subscribers", "mobile 2 500 000 subscribers"),
        ("pedido n\u00famero 123456789", "pedido n\u00famero 123456789"),
    ],
)
def test_a_phone_of_any_country_is_masked_behind_the_word_for_it(mask_pii: MaskPII, text: str, expected: str) -> None:
    assert mask_pii.mask(text)[0] == expected


def test_they_serve_a_plain_engine() -> None:
    engine = AnalyzerEngine(
        registry=RecognizerRegistry(recognizers=[LabelledNumber(), LabelledPhone()], supported_languages=["en"]),
        nlp_engine=NoOpNlpEngine([{"lang_code": "en", "model_name": ""}]),
        supported_languages=["en"],
    )
    found = engine.analyze("passport X1234567, m\u00f3vil 612 34 56 78", language="en")
    assert {one.entity_type for one in found} == {"ID", "PHONE_NUMBER"}
