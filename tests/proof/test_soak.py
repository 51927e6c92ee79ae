"""A few seconds of what `make soak` does for an hour: real processes, a real store, and faults; the objective holds."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.proof.soak.__main__ import soak
from tests.proof.soak.world import FAULTS


@pytest.mark.timeout(60)  # processes that start, and faults of half a second
def test_g1_with_a_store_or_a_sink_lost_those_who_need_it_refuse_and_nobody_else(tmp_path: Path) -> None:
    faults = [one for one in FAULTS if one.name not in ("policy reloads", "a sender is killed", "the only sink hangs")]
    found = soak(5.2, tmp_path, pause_seconds=0.05, deadline_seconds=0.5, faults=faults)
    said = found.text(load=0.0)
    assert set(found.happened) == {one.name for one in faults}
    assert (found.unrecorded, found.leaks, found.broken, found.false_alarms) == (0, 0, [], 0), said
    assert found.unaffected().attempts > 50
    assert found.of("the store is killed", "people limit").refused > 0
    assert found.of("the only sink is full", "one sink").refused > 0
    assert found.sent > 0, said
    assert "sent without a record: 0 of" in said
