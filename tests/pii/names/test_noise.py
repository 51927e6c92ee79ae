"""What the name model finds and nobody would call personal stays; what belongs to somebody does not. No model needed."""

from __future__ import annotations

import re

import pytest

from guardrails.pii import MaskPII
from guardrails.pii.names.decode import ENTITIES, Word, decoded

LEAST: dict[str, float] = dict.fromkeys(ENTITIES, 0.4)


def found(text: str, group: str) -> list[str]:
    """What is found where the model is sure of what stands in [brackets]."""
    words: list[Word] = []
    plain = ""
    for sure, other in re.findall(r"\[([^\]]*)\]|([^\[]+)", text):
        start = len(plain)
        plain += sure or other
        words += [
            Word(start + match.start(), start + match.end(), group, 0.9 if sure else 0.01)
            for match in re.finditer(r"[^\W_]+|[^\w\s]", sure or other)
        ]
    return [plain[span.start : span.end] for span in decoded(plain, words, LEAST)]


@pytest.mark.parametrize(
    "text",
    [
        "Your code is [482913], do not share it",
        "Text HELP to [60777]",
        "see [you at 7]",
        "It costs [20] pounds",
        "took [120ms p50]",
        "[where r u]",
        "on [ur way] home",
        "[gr8], [l8r]",
        '"count": [404]',
        "[chapter 12, page 204]",
        "Your [seat is 22A]",
        "[Lane 4] is closed",
    ],
)
def test_a_number_or_a_word_that_says_nothing_is_no_place(text: str) -> None:
    assert found(text, "LOCATION") == []


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("my zip is [94105]", ["94105"]),
        ("PLZ [10115]", ["10115"]),
        ("Apt. [675]", ["675"]),
        ("postcode [SW1A 1AA]", ["SW1A 1AA"]),
        ("[SW1A 1AA]", ["SW1A 1AA"]),
        ("[Springfield], IL, [62704]", ["Springfield], IL, [62704".replace("], IL, [", ", IL, ")]),
        ("[Nicosia] (Cyprus) [72423]", ["Nicosia", "Cyprus", "72423"]),
        ("[45 Oak Drive] at [8]", ["45 Oak Drive", "8"]),
        ("[at 10 Main Street] then", ["10 Main Street"]),
        ("in [Leeds tomorrow]", ["Leeds"]),
        ("[Via Roma 12], [Isle of Man]", ["Via Roma 12, Isle of Man"]),
    ],
)
def test_a_place_stays_found_without_the_words_around_it(text: str, expected: list[str]) -> None:
    assert found(text, "LOCATION") == expected


@pytest.mark.parametrize(
    "text",
    ["verschoben auf [Montag um 10]", "[gioved\u00ec alle 10]", "[Mon-Fri 9-17, Sat 10-14]", "[140 mmol/L]", "[p99 88 ms]"],
)
def test_days_hours_and_measures_are_no_places(text: str) -> None:
    assert found(text, "LOCATION") == []


@pytest.mark.parametrize("name", ["Dan", "Ella", "Julio", "Di", "Ma", "Son"])
def test_a_name_that_is_a_word_of_another_language_is_one(name: str) -> None:
    assert found(f"ask [{name}] now", "PERSON") == [name]


@pytest.mark.parametrize("text", ["ok [babe]", "[ttyl]", "love [you]", '"currency": [EUR]', "[Hey hun], nearly home"])
def test_what_people_call_each_other_is_no_name(text: str) -> None:
    assert found(text, "PERSON") == []


@pytest.mark.parametrize("name", ["Babette", "Will", "May", "An", "Min", "Joy", "Grace", "Mark", "baby Ann", "Honey Smith"])
def test_a_name_with_one_word_of_its_own_is_found_whole(name: str) -> None:
    assert found(f"ask [{name}] now", "PERSON") == [name]


@pytest.mark.parametrize(
    "text",
    [
        "Order #[10293847]",
        "order no. [10293847]",
        "Invoice number: [2026000123]",
        "tracking [1029384756]",
        "your OTP is [482913]",
        "verification code: [482913]",
        "SKU [8801234567890]",
        "EAN [4006381333931]",
        "Serial: SN-[2026-004455]",
        '"ts": [1764268800123]',
        "3.[14159265358979]",
        "9f3a-[426614174000]",
        "Case [00012345] is closed",
        '{"order_id": [7788123]}',
        "Su c\u00f3digo es [661204]",
        "Ihre Bestellung [4471001]",
        "Merci pour votre commande n\u00b0 [123456789]",
        "Su n\u00famero de pedido es el [8841220]",
        "Het ordernummer is [20240088]",
        "Su c\u00f3digo de verificaci\u00f3n es [778123]",
    ],
)
def test_a_number_that_is_said_to_be_another_is_nobodys(text: str) -> None:
    assert found(text, "ID") == []


@pytest.mark.parametrize(
    "text", ["member [10293847]", "customer no. [1002003004]", "sort code [123456]", "zip code [941050]"]
)
def test_other_numbers_are_somebodys(text: str) -> None:
    assert len(found(text, "ID")) == 1


@pytest.mark.parametrize(
    "text",
    [
        "Your verification code is 482913. It expires in 10 minutes.",
        "Order #10293847 has shipped.",
        "Text HELP to 60777 for help.",
        "Ok see you at 7",
        "where r u",
        "Mum, can you send me 20 quid",
        '{"error": {"code": 404, "message": "Not Found"}}',
        "Room 1204, checkout at 11.",
        "Hey babe, miss you",
    ],
)
def test_ordinary_messages_stay_as_they_are(with_names: MaskPII, text: str) -> None:
    assert with_names.mask(text) == (text, [])
