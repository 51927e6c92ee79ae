"""Windows depend on the text alone, and together they own every character exactly once."""

from __future__ import annotations

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from guardrails.pii.sentences import Boundaries
from guardrails.pii.windows import MARGIN, WINDOW, Cutter, Window

GAPS = st.sampled_from([". ", "! A", "?\n", "\r\n", "\n\n", "\r\n\r\n", " ", "  ", ".", "\u2028", "\t", "\x1c", "\u00a0"])
LETTERS = st.sampled_from(
    ["a", "B", "É", "\u0301", "\ud83d", "\udc4d", "👍", "ß", "1", "@", "x" * 700, "9" * 1_999, "ab " * 900]
)
TEXTS = st.lists(st.one_of(GAPS, LETTERS, st.text(max_size=4)), max_size=25).map("".join)
CUTS = st.lists(st.integers(0, 9_000), max_size=12)


def cut(text: str, positions: list[int]) -> list[str]:
    edges = [0, *sorted(min(p, len(text)) for p in positions), len(text)]
    return [text[a:b] for a, b in pairwise(edges)]


def windows_of(chunks: list[str], cutter: Cutter | None = None) -> list[Window]:
    cutter = cutter or Cutter()
    return [window for chunk in chunks for window in cutter.feed(chunk)] + cutter.flush()


def segments_of(text: str) -> list[str]:
    starts = [0, *Boundaries().feed(text), len(text)]
    return [text[a:b] for a, b in pairwise(starts)]


@given(text=TEXTS, positions=CUTS)
def test_windows_are_the_same_for_every_way_to_cut_the_text(text: str, positions: list[int]) -> None:
    assert windows_of([text]) == windows_of(cut(text, positions))


@given(text=TEXTS)
def test_windows_are_the_same_one_character_at_a_time(text: str) -> None:
    text = text[:3_500]
    assert windows_of([text]) == windows_of(list(text))


@given(text=TEXTS, positions=CUTS)
def test_every_character_is_owned_by_exactly_one_window_that_shows_it(text: str, positions: list[int]) -> None:
    position = 0
    for window in windows_of(cut(text, positions)):
        assert position == window.owns_from
        assert window.start <= window.owns_from < window.owns_to <= window.end
        assert text[window.start : window.end] == window.text
        assert len(window.text) <= WINDOW
        if not window.last:
            assert window.end - window.owns_to >= MARGIN
        position = window.owns_to
    assert len(text) == position


@given(first=TEXTS, second=TEXTS)
def test_a_flush_ends_one_text_and_the_next_begins_at_zero(first: str, second: str) -> None:
    cutter = Cutter()
    windows_of([first], cutter)
    assert windows_of([second]) == windows_of([second], cutter)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("", []),
        ("One. Two", ["One. ", "Two"]),
        ("One.\nTwo", ["One.\n", "Two"]),
        ("One. two", ["One. two"]),
        ("One.Two", ["One.Two"]),
        ("Really?!  Yes", ["Really?!  ", "Yes"]),
        ("12 Main Street\nSpringfield", ["12 Main Street\nSpringfield"]),
        ("first\n\nsecond", ["first\n\n", "second"]),
        ("first\r\n\r\nsecond", ["first\r\n\r\n", "second"]),
        ("first\r\nsecond", ["first\r\nsecond"]),
        ("first \n \n second", ["first \n \n ", "second"]),
        ("ends. ", ["ends. "]),
        ("\n\nstarts", ["\n\n", "starts"]),
        ("Größe. Österreich", ["Größe. ", "Österreich"]),
        ("3. 4", ["3. 4"]),
    ],
)
def test_segments_end_at_sentences_and_blank_lines(text: str, expected: list[str]) -> None:
    assert expected == [segment for segment in segments_of(text) if segment]


def test_a_run_without_sentence_end_becomes_overlapping_windows_counted_from_its_start() -> None:
    text = "Hello. " + "X" * 4_000
    spans = [(w.start, w.end, w.owns_from, w.owns_to, w.last) for w in windows_of([text])]
    assert spans == [
        (0, 7, 0, 7, True),
        (7, 2_007, 7, 1_757, False),
        (1_507, 3_507, 1_757, 3_257, False),
        (3_007, 4_007, 3_257, 4_007, True),
    ]


@pytest.mark.parametrize("length", [WINDOW - 1, WINDOW])
def test_a_segment_of_up_to_two_thousand_characters_is_one_window(length: int) -> None:
    assert [length] == [len(window.text) for window in windows_of(["x" * length])]


def test_no_more_than_a_window_is_held_back() -> None:
    cutter = Cutter()
    shown = 0
    for position in range(20_000):
        for window in cutter.feed("x"):
            shown = window.end
        assert position + 1 - shown <= WINDOW


def test_a_window_does_not_show_its_text() -> None:
    assert "secret" not in repr(windows_of(["secret"]))
