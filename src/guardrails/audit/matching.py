"""
Lines to the few values that verification needs, at the speed of a pattern where that is possible.

The patterns say yes only to canonical lines that the rules hold for; what they do not match is parsed and held to the rules
one by one. Free mappings are matched by key set, and a key set is learned when a line with it has been parsed.
"""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final, NamedTuple

from guardrails.audit.grammar import Shapes, compiled, shapes_in, wrong
from guardrails.audit.reading import parse
from guardrails.audit.stages import RULES

_SHAPES: Final = 48  # learned; more are parsed
_LONGEST: Final = 16_384  # bytes; longer lines are parsed
INTENT: Final = ("prev", "send_id", "seq", "stream")
OUTCOME: Final = ("prev", "result", "send_id", "seq", "stream")

COMPARED: Final = ("prev", "stream")


class Patterns(NamedTuple):
    """Whole lines of the two stages that make up most of a log; groups as `INTENT` and `OUTCOME` say."""

    intent: re.Pattern[bytes]
    outcome: re.Pattern[bytes]


class Matching:
    """
    Patterns that learn, and the rules behind them.

    Attributes:
        patterns: As of now; they change when `record` has learned something.
    """

    __slots__ = ("_shapes", "patterns")

    def __init__(self) -> None:
        self._shapes: Shapes = frozenset()
        self.patterns: Patterns = _patterns(self._shapes)

    def record(self, line: bytes) -> tuple[dict[str, Any], str | None]:
        """
        A line parsed, and what is wrong with the record; None if nothing.

        Raises:
            Malformed: It is no record at all.
        """
        record = parse(line)
        stage = record.get("stage")
        rule = RULES.get(stage) if isinstance(stage, str) else None
        if rule is None:
            return record, "an unknown stage"
        if record.get("schema_version") != 1 or type(record["schema_version"]) is not int:
            return record, "an unknown schema_version"
        fault = wrong(record, rule)
        if fault is None and stage in {"intent", "outcome"} and len(line) <= _LONGEST:
            self._learn(frozenset(shapes_in(record, rule)))
        return record, fault

    def _learn(self, seen: Shapes) -> None:
        if not seen <= self._shapes and len(self._shapes | seen) <= _SHAPES:
            self._shapes |= seen
            self.patterns = _patterns(self._shapes)


@lru_cache(maxsize=64)  # a pattern takes longer to build than a small stream to read
def _patterns(shapes: Shapes) -> Patterns:
    known = sorted(shapes)
    return Patterns(
        compiled(RULES["intent"], known, INTENT, COMPARED), compiled(RULES["outcome"], known, OUTCOME, COMPARED)
    )
