"""Segments with a least length are the same however a text is cut."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from guardrails.pii.sentences import Boundaries
from tests.pii.test_windows import CUTS, TEXTS, cut


def starts_of(chunks: list[str], shortest: int) -> list[int]:
    boundaries = Boundaries(shortest)
    return [start for chunk in chunks for start in boundaries.feed(chunk)]


@given(text=TEXTS, positions=CUTS, shortest=st.integers(0, 200))
def test_segments_of_a_least_length_are_the_same_for_every_cut(text: str, positions: list[int], shortest: int) -> None:
    starts = starts_of([text], shortest)
    assert starts == starts_of(cut(text, positions), shortest)
    assert all(after - before >= shortest for before, after in pairwise([0, *starts]))
    assert set(starts) <= set(starts_of([text], 0))
