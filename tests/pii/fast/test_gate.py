"""The gate in front of patterns lets through whatever they could find."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import pytest
import regex  # type: ignore[import-untyped]  # it has no types
from hypothesis import example, given, settings
from hypothesis import strategies as st
from presidio_analyzer import PatternRecognizer

from guardrails.pii.fast import gate
from guardrails.pii.fast.gate import Gate, has_re2
from guardrails.pii.fast.lean import patterns_of
from guardrails.pii.fast.superset import NoSupersetError, superset
from guardrails.pii.recognizers import build
from guardrails.pii.registry import pattern_entities
from tests.pii.texts import SHORT

AWKWARD = st.text("abAB019 .-@:/_\n\x1c\x85\u00e9\u017f\u212a\u0130\u0131\u0301\u4e2d\u0663\U0001f600\ud83d", max_size=30)


def shipped() -> list[tuple[str, int]]:
    """Every pattern of every recognizer, Presidio's and ours, with its flags."""
    kinds = {*pattern_entities().values(), *pattern_entities(theirs_only=True).values()}
    built = [build(kind, "en") for kind in kinds]
    return [
        (pattern.regex, flags) for one in built if isinstance(one, PatternRecognizer) for pattern, flags in patterns_of(one)
    ]


SHIPPED = shipped()
GATE = Gate(SHIPPED)
COMPILED = [regex.compile(pattern, flags) for pattern, flags in SHIPPED]


def found(text: str) -> set[int]:
    return {number for number, pattern in enumerate(COMPILED) if pattern.search(text)}


def test_the_extra_is_installed_where_tests_run() -> None:
    assert has_re2()


@settings(max_examples=150, deadline=None)
@given(text=st.one_of(SHORT, AWKWARD))
@example(text="\u017f\u017fn 078-05-1120")
@example(text="GB82\u00a0WEST 1234 5698 7654 32")
@example(text="10.0.0.1\x1c\u0661\u0662\u0663")
@example(text="ann@example.com \ud83d")
def test_what_a_pattern_finds_passes_the_gate(text: str) -> None:
    assert found(text) <= set(GATE.passing(text))


def test_an_ordinary_message_passes_with_next_to_nothing() -> None:
    assert len(set(GATE.passing("See you at the station, I will bring the blue one"))) < len(SHIPPED) / 20


@pytest.mark.parametrize(
    ("pattern", "flags", "text"),
    [
        (r"[^a]x", regex.I, "BX"),
        (r"(?i:k)\b", 0, "\u212a"),
        (r"\bK", regex.I, "\u212a"),
        (r"(?<=id )\d+", 0, "id 7"),
        (r"\d(?= euro)", 0, "7 euro"),
        (r"(a|b)\1", 0, "bb"),
        (r"(?P<q>['\"])x(?P=q)", 0, "'x'"),
        (r"(a)?(?(1)b|c)", 0, "ab"),
        (r"^x$", regex.M, "a\nx\nb"),
        (r"a.b", regex.S, "a\nb"),
        (r"a++b{2,1000}?", 0, "aabb"),
        (r"(?>a|ab)c", 0, "ac"),
        (r"\S\s\W\D", 0, "a\x0b!b"),
        (r"caf\u00e9", regex.I, "CAF\u00c9"),
        (r"[\u0130x]", regex.I, "i"),
        (r"\A(?!b)a\Z", 0, "a"),
        (r"(?x) a   b # both", 0, "ab"),
    ],
)
def test_a_superset_is_found_wherever_the_pattern_is(pattern: str, flags: int, text: str) -> None:
    assert regex.search(pattern, text, flags)
    assert list(Gate([(pattern, flags)]).passing(text)) == [0]


@pytest.mark.parametrize(
    ("pattern", "text"),
    [
        (r"(?<=\bid )\d{4}", "call 1234"),
        (r"([:-])\d\1", ":1;"),
        (r"\b\d{9}\b", "1234567890"),
        (r"[^\w]@", "a@"),
        (r"MRN", "mrn"),
    ],
)
def test_a_superset_is_no_larger_than_it_has_to_be(pattern: str, text: str) -> None:
    assert list(Gate([(pattern, 0)]).passing(text)) == []


@pytest.mark.parametrize(
    ("pattern", "flags"),
    [(r"\p{Lu}\d", 0), (r"[a--b]", regex.VERSION1), (r"a\b(?i)b", 0), (r"(?:cat){e<=1}", regex.VERSION1), (r"\L<x>", 0)],
)
def test_what_has_no_superset_is_tried_on_every_text(pattern: str, flags: int) -> None:
    with pytest.raises(NoSupersetError):
        superset(pattern, flags, ascii_only=True)
    assert list(Gate([(pattern, flags), ("q", 0)]).passing("nothing")) == [0]


def test_a_gate_that_gave_up_lets_everything_through(monkeypatch: pytest.MonkeyPatch) -> None:
    def no_answer(_: object, __: bytes) -> Collection[int] | None:
        return None

    narrow = Gate([("x", 0), ("y", 0)])
    assert list(narrow.passing("x")) == [0]
    monkeypatch.setattr(gate._Set, "matches", no_answer)
    assert set(narrow.passing("x")) == {0, 1}


def test_an_answer_without_its_sentinel_is_no_answer() -> None:
    class OutOfMemory:
        def Match(self, _: bytes) -> Any:  # noqa: N802 - the binding's own name
            return None

    chosen = gate._Set([("x", 0)], ascii_only=True)
    chosen._set = OutOfMemory()
    assert chosen.matches(b"x") is None


@pytest.mark.parametrize("memory", [1_000, 40_000, 100_000, 300_000, 1_000_000])
def test_an_automaton_out_of_memory_is_noticed(memory: int, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "_MEMORY", memory)
    small = Gate([(rf"(?:a|b)*a(?:a|b){{{count}}}x", 0) for count in range(10, 19)])
    text = "ab" * 300 + "aab" * 300 + "a" + "b" * 12 + "x"
    assert 2 in small.passing(text)
    assert 2 in small.passing(text + "\u00e9")


def test_without_google_re2_everything_passes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(gate, "has_re2", lambda: False)
    wide = Gate([("x", 0), ("y", 0)])
    assert wide.is_open
    assert set(wide.passing("nothing")) == {0, 1}


def test_a_gate_of_nothing_is_open_and_passes_nothing() -> None:
    assert set(Gate([]).passing("x")) == set()
