"""From probabilities of words to findings; no model needed."""

from __future__ import annotations

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.pii.names.decode import ENTITIES, GROUPS, LOCATION, PERSON, Word, beside, decoded
from guardrails.pii.spans import Span

LEAST: dict[str, float] = dict.fromkeys(ENTITIES, 0.4)


def words_of(text: str, **groups: dict[str, float]) -> list[Word]:
    """The words of *text*; those named have a group and a probability, the others none."""
    known = {word: (group, sure) for group, given in groups.items() for word, sure in given.items()}
    return [
        Word(match.start(), match.end(), *known.get(match[0], ("URL", 0.01))) for match in re.finditer(r"\w+|[^\w\s]", text)
    ]


def found(text: str, **groups: dict[str, float]) -> list[tuple[str, str]]:
    spans = decoded(text, words_of(text, **groups), LEAST)
    return sorted((span.type, text[span.start : span.end]) for span in spans)


def test_an_initial_or_a_particle_does_not_split_a_name() -> None:
    assert found("to John R. Smith now", PERSON={"John": 0.9, "Smith": 0.9}) == [("PERSON", "John R. Smith")]
    assert found("to Ann van Smith now", PERSON={"Ann": 0.9, "Smith": 0.9}) == [("PERSON", "Ann van Smith")]
    assert found("Ann, Bob", PERSON={"Ann": 0.9, "Bob": 0.9}) == [("PERSON", "Ann"), ("PERSON", "Bob")]


def test_an_address_is_one_finding_with_its_short_words_and_lines() -> None:
    text = "at 10 Main Street, Apt 4\nSpringfield, then"
    parts = {"10": 0.9, "Main": 0.9, "4": 0.5, "Springfield": 0.9}
    assert found(text, LOCATION=parts) == [("LOCATION", "10 Main Street, Apt 4\nSpringfield")]


def test_a_word_beside_a_sure_one_needs_half_of_its_probability() -> None:
    assert found("Ann Rain", PERSON={"Ann": 0.9, "Rain": 0.21}) == [("PERSON", "Ann Rain")]
    assert found("Ann Rain", PERSON={"Ann": 0.9, "Rain": 0.19}) == [("PERSON", "Ann")]
    assert found("Ann Rain", PERSON={"Ann": 0.39, "Rain": 0.21}) == []


def test_a_finding_covers_whole_words() -> None:
    assert [(s.start, s.end) for s in decoded("xAnny y", [Word(1, 4, "PERSON", 0.9)], LEAST)] == [(0, 5)]


def test_a_single_letter_or_a_number_is_no_person_and_a_dash_no_place() -> None:
    assert found("a, 7 -", PERSON={"a": 0.9, "7": 0.9}, LOCATION={"-": 0.9}) == []


def test_numbers_are_mostly_digits_and_there_are_enough_of_them() -> None:
    assert found("id 123-456 x", ID={"123": 0.9, "456": 0.9}) == [("ID", "123-456")]
    assert found("id 123-456 x", PHONE={"123": 0.9, "456": 0.9}) == [("PHONE_NUMBER", "123-456")]
    assert found("id 12345 x", ID={"12345": 0.9}) == []
    assert found("id abcdefg123456 x", ID={"abcdefg123456": 0.9}) == []
    assert found("id 123-456 x", ID={"123": 0.4, "456": 0.4}) == []


def test_an_email_address_has_an_at_sign() -> None:
    everything: dict[str, float] = dict.fromkeys(("ann", "@", "%", "40ann", "at", "example", ".", "com"), 0.9)
    assert found("ann@example.com", EMAIL=everything) == [("EMAIL_ADDRESS", "ann@example.com")]
    assert found("ann at example.com", EMAIL=everything) == [("EMAIL_ADDRESS", "ann at example.com")]
    assert found("ann.example.com", EMAIL=everything) == []


@pytest.mark.parametrize(
    "text",
    [
        *(
            "to Canada",
            "to canada",
            "TO CANADA",
            "to united  kingdom",
            "in Jordan",
            "IN CHINA",
            "the U.S.A. too",
            "Guinea-Bissau",
        ),
        *("to Tokyo", "IN NEW  YORK", "nach M\u00fcnchen", "to st. louis", "in Buenos Aires, then", "\u00c5land Islands"),
    ],
)
def test_countries_and_large_cities_are_places(text: str) -> None:
    assert [kind for kind, _ in found(text)] == ["LOCATION"]


@pytest.mark.parametrize(
    "text",
    ["a turkey sandwich", "fine china", "Canadarm", "the jersey", "Romeo", "a wellington", "new yorker", "nice reading"],
)
def test_other_words_are_none(text: str) -> None:
    assert found(text) == []


def test_entities_that_are_not_asked_for_are_not_found() -> None:
    text = "Ann in Paris"
    words = words_of(text, PERSON={"Ann": 0.9}, LOCATION={"Paris": 0.9})
    assert [span.type for span in decoded(text, words, {PERSON: 0.4})] == [PERSON]
    assert [span.type for span in decoded(text, words, {LOCATION: 0.4})] == [LOCATION]
    assert decoded(text, words, {}) == []


def test_what_a_pattern_found_keeps_its_name() -> None:
    text = "Ann ann@example.com !"
    names = [Span(0, len(text), "PERSON", 0.99)]
    patterns = [Span(4, 19, "EMAIL_ADDRESS", 1.0), Span(6, 9, "URL", 0.5)]
    assert beside(names, patterns, text) == [Span(0, 3, "PERSON", 0.99)]
    assert beside(names, [], text) == names


@given(data=st.data(), text=st.text(st.sampled_from("aB1 .,-@\né'_"), max_size=40))
def test_every_sure_word_is_covered_and_findings_stay_inside(data: st.DataObject, text: str) -> None:
    words = [
        Word(match.start(), match.end(), data.draw(st.sampled_from(GROUPS)), data.draw(st.floats(0, 1)))
        for match in re.finditer(r"[^\W_]+|[^\w\s]|_", text)
    ]
    spans = decoded(text, words, LEAST)
    assert all(0 <= span.start < span.end <= len(text) and LEAST[span.type] <= max(span.score, 0.4) for span in spans)
    for word in words:
        value = text[word.start : word.end]
        speaks = re.search(r"[^\W\d_]{2}", value)  # what says less may be none: `names.noise`
        if word.group == "LOCATION" and word.sure >= LEAST[LOCATION] and speaks:
            assert any(s.type == LOCATION and s.start <= word.start and word.end <= s.end for s in spans)


def test_a_gap_of_one_kind_for_long_is_read_in_no_time() -> None:
    text = "Ann" + " a" * 50_000 + " Bob"
    assert len(found(text, PERSON={"Ann": 0.9, "Bob": 0.9})) == 2
