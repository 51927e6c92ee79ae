"""What Presidio leaves in the text and we do not; each recognizer also serves a plain engine."""

from __future__ import annotations

import random  # noqa: TID251 - seeded texts, nothing secret

import pytest
from presidio_analyzer import AnalyzerEngine, RecognizerRegistry
from presidio_analyzer.nlp_engine import NoOpNlpEngine

from guardrails.core.exposure import exposures
from guardrails.pii import MaskPII
from guardrails.pii.cards import CardAmongNumbers
from guardrails.pii.recognizers import Gated, GatedCreditCard, GatedSsn, StrictUrl
from guardrails.pii.recognizers_more import GluedEmail
from tests.pii.differing import texts

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


def test_what_finds_the_rest_serves_a_plain_engine() -> None:
    engine = AnalyzerEngine(
        registry=RecognizerRegistry(recognizers=[CardAmongNumbers(), GluedEmail()], supported_languages=["en"]),
        nlp_engine=NoOpNlpEngine([{"lang_code": "en", "model_name": ""}]),
        supported_languages=["en"],
    )
    found = engine.analyze("1234 4242 4242 4242 4242 and /ann@example.com", language="en")
    assert [(each.entity_type, each.start, each.end) for each in found] == [
        ("CREDIT_CARD", 5, 24),
        ("EMAIL_ADDRESS", 30, 45),
    ]
    assert engine.analyze("1234 4242 4242 4242 4242", language="en", entities=["EMAIL_ADDRESS"]) == []


@pytest.mark.parametrize(
    "card",
    [
        *("4111\n1111\n1111\n1111", "4111 1111\r\n> 1111 1111", "4111, 1111, 1111, 1111", "4111|1111|1111|1111"),
        *("4111*1111*1111*1111", "3782,822463,10005"),
    ],
)
def test_a_card_is_one_whatever_stands_between_its_groups(mask_pii: MaskPII, card: str) -> None:
    assert mask_pii.mask(f"It is {card}. Thanks")[0] == "It is <CREDIT_CARD>. Thanks"


@pytest.mark.parametrize("numbers", ["4111, 1111, 1111, 1111, 1111", "1999\n4111\n1111\n1111\n1111", "4111,1111|1111,1111"])
def test_groups_in_a_longer_list_are_numbers(mask_pii: MaskPII, numbers: str) -> None:
    assert "CREDIT_CARD" not in {finding.type for finding in mask_pii.find(numbers)}


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("id4111111111111111x", "id<CREDIT_CARD>x"),
        ("CARD5555555555554444EXP1227", "CARD<CREDIT_CARD>EXP1227"),
        ("a4111111111111111bcdef0123456789ab", "a4111111111111111bcdef0123456789ab"),
    ],
)
def test_a_card_with_letters_glued_to_it_is_one_but_not_in_hexadecimal(mask_pii: MaskPII, text: str, expected: str) -> None:
    assert mask_pii.mask(text)[0] == expected


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


@pytest.mark.parametrize(
    ("text", "masked"),
    [
        ("bob@mail.example.co.uk4", "<EMAIL_ADDRESS>4"),
        ("ann@example.comwww.Hi", "<EMAIL_ADDRESS><URL>"),
        ("x_ann@example.com_y", "<EMAIL_ADDRESS>_y"),
        ("ann@my_example.com.", "<EMAIL_ADDRESS>."),
        ("ann@example-.com", "<EMAIL_ADDRESS>"),
        ("shop://none/ann@example.com", "shop://none/<EMAIL_ADDRESS>"),
        ("order 1234 4242 4242 4242 4242", "order 1234 <CREDIT_CARD>"),
        ("550e8400-e29b-41d4-a716-446655440000 4242 4242 4242 4242", "550e8400-e29b-41d4-a716-446655440000 <CREDIT_CARD>"),
        ("4242.4242.4242.4242", "<CREDIT_CARD>"),
        ("4242\u202f4242\u202f4242\u202f4242 ", "<CREDIT_CARD> "),
        ("4917610000000000003", "<CREDIT_CARD>"),
        ("4917 6100 0000 0000 003", "<CREDIT_CARD>"),
        ("gb82 west 1234 5698 7654 32", "<IBAN_CODE>"),
        ("\u00df de89370400440532013000", "\u00df <IBAN_CODE>"),
        ("call 164012", "call <PHONE_NUMBER>"),
    ],
)
def test_what_presidio_leaves_is_masked(mask_pii: MaskPII, text: str, masked: str) -> None:
    assert mask_pii.mask(text)[0] == masked


@pytest.mark.parametrize(
    "text",
    [
        "1640 to ann",
        "call 1640 if 12345 is late",
        "order 164012",
        "order 1234 4242 4242 4242 4243",
        "12 4242 42 4242 42 4242",
        "see @my_name_.com",
        "git@host_name",
        "gb83 west 1234 5698 7654 32",
    ],
)
def test_what_only_looks_like_it_stays(mask_pii: MaskPII, text: str) -> None:
    assert mask_pii.mask(text) == (text, [])


def test_nothing_is_left_that_the_doors_own_detector_would_refuse(mask_pii: MaskPII) -> None:
    for text in texts("door", 1_500):
        assert exposures(mask_pii.mask(text)[0]) == [], text
