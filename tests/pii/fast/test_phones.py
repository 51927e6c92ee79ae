"""The shared phone scan finds what Presidio's recognizer finds, and steps aside where it cannot know."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from presidio_analyzer.predefined_recognizers import PhoneRecognizer

from guardrails.pii import phones
from guardrails.pii.fast.known import fingerprint, knows_phones
from guardrails.pii.fast.numbering import Numbering
from guardrails.pii.fast.scan import LONGEST
from guardrails.pii.phones import SharedPhone
from tests.pii.differing import compare, texts

PLAIN: Final = PhoneRecognizer()
SHARED: Final = SharedPhone()


def places(recognizer: PhoneRecognizer, text: str) -> list[tuple[str, int, int, float]]:
    found = recognizer.analyze(text, ["PHONE_NUMBER"], None)  # type: ignore[arg-type]  # it takes None
    return sorted((each.entity_type, each.start, each.end, each.score) for each in found)


def test_the_installed_versions_are_known() -> None:
    assert knows_phones()
    assert SHARED._scanner is not None


@pytest.mark.parametrize(
    "text",
    [
        "Call +1 212 555 0173 or 030 123456.",
        "0141823299426",  # a Brazilian carrier code that is not part of the number
        "550558372634128",
        "12 ext. 34567",
        "212-555-0173/332-445-1234",
        "4242 4242 4242 4242",
        "2012-01-02 08:00 and 3/10/2011",
        "$212.555.0173 and a212-555-0173b",
        "(+1) (212) 555-0173 x12",
        "0049 30 123456",
        "\uff0b\uff14\uff14 20 7946 0958",
        "\u0662\u0661\u0662-555-0173",
        "+0212 555 0173",
        "VLDB J. 12(3): 211-227 (2003)",
        "8/X]832800\u0663\u066313",  # an X is punctuation, in capitals too
    ],
)
def test_examples_have_presidios_places(text: str) -> None:
    assert places(PLAIN, text) == places(SHARED, text)


@settings(max_examples=400, deadline=None)
@given(text=st.text("0123456789" * 3 + " -+().,:/xX#~;ext%$a\u00e9\u00a0\u0663\uff0b\uff08\uff09[]", max_size=60))
def test_any_text_of_what_numbers_are_made_of_has_presidios_places(text: str) -> None:
    assert places(PLAIN, text) == places(SHARED, text)


def test_a_slice_of_the_differential_has_no_differences() -> None:
    assert list(compare(texts("slice", 1_500))) == []


def test_the_comparison_sees_a_difference(monkeypatch: pytest.MonkeyPatch) -> None:
    def nothing(_: SharedPhone, text: str, entities: list[str], nlp_artifacts: object = None) -> list[object]:
        return []

    def one() -> Iterator[str]:
        yield "Call +1 212 555 0173"

    monkeypatch.setattr(SharedPhone, "analyze", nothing)
    assert list(compare(one())) == [0]


@pytest.mark.parametrize(
    "recognizer",
    [SharedPhone(leniency=0), SharedPhone(leniency=3), SharedPhone(supported_regions=("CH", "US"))],
    ids=["possible", "exact grouping", "another region"],
)
def test_an_unusual_recognizer_runs_as_presidio_wrote_it(recognizer: SharedPhone) -> None:
    assert recognizer._scanner is None
    plain = PhoneRecognizer(supported_regions=recognizer.supported_regions, leniency=recognizer.leniency)
    text = "044 668 18 00 or 212-555-0173"
    assert places(plain, text) == places(recognizer, text)


def test_unknown_code_runs_as_presidio_wrote_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(phones, "knows_phones", lambda: False)
    recognizer = SharedPhone()
    assert recognizer._scanner is None
    assert places(recognizer, "212-555-0173") == places(PLAIN, "212-555-0173") != []


def test_a_very_long_text_is_read_by_presidio() -> None:
    text = "212-555-0173 " + "12 " * LONGEST
    assert places(PLAIN, text) == places(SHARED, text)


def test_code_without_a_source_is_not_known() -> None:
    assert not fingerprint([len])


def test_an_unknown_region_is_refused() -> None:
    with pytest.raises(ValueError, match="no numbering plan"):
        Numbering("ZZ")
