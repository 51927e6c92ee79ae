"""Whatever team controls do, in whatever shape: what was promised holds. A few rounds here; `make fuzz` plays thousands."""

from __future__ import annotations

import gc
import logging
from functools import cache
from pathlib import Path

import pytest

from guardrails import MaskPII
from tests.core.mischief import BEHAVIOURS, play


@cache
def mask() -> MaskPII:
    return MaskPII(names="off")


@pytest.mark.parametrize("seeds", [range(start, start + 10) for start in (0, 100, 200, 300)], ids=str)
# Controls that drop what they should have awaited are warned about by Python, and dropped streams end in the collector.
@pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning")
@pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning")
def test_g1_g2_g3_g6_g9_hold_whatever_controls_do(seeds: range, tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.CRITICAL)
    for seed in seeds:
        now = play(seed, tmp_path / str(seed), mask())
        assert not now.complaints(), str(now)
    gc.collect()


def test_g1_g2_g3_g6_g9_every_kind_of_mischief_is_played() -> None:
    assert len(BEHAVIOURS) >= 25
