"""The queue between a send and its record."""

from __future__ import annotations

import time
from typing import Any, cast

from guardrails.audit.bounds import Bounds
from guardrails.audit.record import EventIds
from guardrails.audit.writer import Writer


class EndingWrite:
    """Streams whose write ends while somebody asks how long it has been going on."""

    failed = None

    def __init__(self) -> None:
        self._readings = [time.monotonic(), 0.0]

    @property
    def writing_since(self) -> float:
        return self._readings.pop(0)


def test_a_write_that_ends_while_it_is_looked_at_does_not_hang() -> None:
    writer = Writer(
        cast("Any", EndingWrite()),
        threaded=True,
        deadline_seconds=60.0,
        bounds=Bounds(),
        show=lambda _lines: None,
        event_ids=EventIds(),
    )

    writer.reserve()  # a reading of 0.0 is no time in the past
