"""G4 and its neighbours: for every text and every way to cut it."""

from __future__ import annotations

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from guardrails.pii import MaskPII
from guardrails.pii.windows import WINDOW
from tests.pii.texts import CUTS, EXAMPLES, LONG, SHORT, cut

thorough = settings(
    max_examples=150,
    deadline=None,
    suppress_health_check=[
        HealthCheck.too_slow,
        HealthCheck.filter_too_much,
        HealthCheck.data_too_large,
        HealthCheck.function_scoped_fixture,
    ],
)


@thorough
@given(text=LONG, positions=CUTS)
def test_g4_the_joined_stream_equals_the_mask_of_the_joined_text(
    mask_pii: MaskPII, text: str, positions: list[int]
) -> None:
    masking = mask_pii.filter()
    assert "".join(map(masking.feed, cut(text, positions))) + masking.flush() == mask_pii.mask(text)[0]


@thorough
@given(text=SHORT)
def test_g4_holds_one_character_at_a_time(mask_pii: MaskPII, text: str) -> None:
    masking = mask_pii.filter()
    assert "".join(map(masking.feed, text)) + masking.flush() == mask_pii.mask(text)[0]


@pytest.mark.parametrize("value", [value for values in EXAMPLES.values() for value in values])
@pytest.mark.parametrize("offset", [-25, -9, 0, 9])
def test_g4_holds_across_the_edges_of_windows(mask_pii: MaskPII, value: str, offset: int) -> None:
    for edge in (1_500, 1_750, WINDOW, 3_250, 3_500):
        text = ("word " * 800)[: edge + offset] + f" {value} " + "tail " * 500
        masking = mask_pii.filter()
        pieces = [text[start : start + 7] for start in range(0, len(text), 7)]
        masked, findings = mask_pii.mask(text)
        assert "".join(map(masking.feed, pieces)) + masking.flush() == masked
        assert value not in masked
        assert len(findings) == 1


@thorough
@given(first=SHORT, second=SHORT)
def test_a_flush_ends_one_text_and_the_filter_serves_the_next(mask_pii: MaskPII, first: str, second: str) -> None:
    masking = mask_pii.filter()
    assert masking.feed(first) + masking.flush() == mask_pii.mask(first)[0]
    assert masking.feed(second) + masking.flush() == mask_pii.mask(second)[0]


@thorough
@given(text=LONG)
def test_text_outside_of_findings_is_unchanged_and_placed_says_where_the_rest_is(mask_pii: MaskPII, text: str) -> None:
    masked, findings = mask_pii.mask(text)
    position = placed = 0
    for finding in findings:
        assert finding.placed is not None
        start, end = finding.placed
        assert position <= finding.start < finding.end <= len(text)
        assert text[position : finding.start] == masked[placed:start]
        assert f"<{finding.type}>" == masked[start:end]
        position, placed = finding.end, end
    assert text[position:] == masked[placed:]


@thorough
@given(text=LONG)
def test_find_and_mask_find_the_same(mask_pii: MaskPII, text: str) -> None:
    found = [(f.type, f.start, f.end, f.score, f.placed) for f in mask_pii.find(text)]
    assert found == [(f.type, f.start, f.end, f.score, None) for f in mask_pii.mask(text)[1]]


@thorough
@given(text=SHORT)
def test_masking_twice_changes_nothing(mask_pii: MaskPII, text: str) -> None:
    masked = mask_pii.mask(text)[0]
    assert masked == mask_pii.mask(masked)[0]


@thorough
@given(text=LONG)
def test_masking_a_long_text_twice_changes_nothing(mask_pii: MaskPII, text: str) -> None:
    masked = mask_pii.mask(text)[0]
    assert masked == mask_pii.mask(masked)[0]


@settings(max_examples=300, deadline=None)
@given(text=st.text())
def test_any_text_can_be_masked(mask_pii: MaskPII, text: str) -> None:
    mask_pii.mask(text)


@settings(thorough, max_examples=20)
@given(text=SHORT)
def test_what_a_filter_holds_back_is_bounded(mask_pii: MaskPII, text: str) -> None:
    masking = mask_pii.filter()
    endless = (text or "x") * (9_000 // len(text or "x"))
    fed = released = 0
    for start in range(0, len(endless), 50):
        fed += len(endless[start : start + 50])
        masking.feed(endless[start : start + 50])
        released = masking._masking._held_from
        assert fed - released <= 2 * WINDOW
    assert released > 0
