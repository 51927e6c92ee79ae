"""
A filter asked of the files themselves: no index, nothing kept but the ids of sends that match.

Records are canonical JSON, so what a filter asks for stands in a matching line byte by byte: only lines that hold it are
parsed. What is no record is left out: `guardrails audit verify` names it.
"""

from __future__ import annotations

import json
import os
from collections.abc import Iterator
from operator import itemgetter
from typing import Any, Final

from guardrails.audit.reading import files
from guardrails.reports.query import Filters, in_frame, matches
from guardrails.reports.source import blocks, record_of

_place: Final = itemgetter(0)
_OUTCOME: Final = b'"stage":"outcome"'
_SEND: Final = b'"send_id":"'
_DECISION: Final = b'"stage":"decision"'
_TS: Final = b'"ts":"'
_ID_CHARACTERS: Final = 32
_TS_CHARACTERS: Final = 27
_ONE_BY_ONE: Final = 100  # so many ids are looked for one by one; more, by looking at every outcome


def select(folder: str | os.PathLike[str], filters: Filters) -> Iterator[dict[str, Any]]:
    """
    The records of *folder* that match, stream by stream.

    Raises:
        OSError: The folder or a file cannot be read.
    """
    search = _Search(filters)
    for path in files(folder):
        for block in blocks(path):
            for _, record in search.take(block):
                if in_frame(record, filters):
                    yield record


class _Search:
    """Goes through the blocks of a log, one after another."""

    def __init__(self, filters: Filters) -> None:
        self._filters = filters
        self._needles = _needles(filters)
        self._sorted = False  # the rarest first, as far as the first block tells
        self._since = (filters.since or "").encode("ascii")
        self._until = None if filters.until is None else filters.until.encode("ascii")
        self._about = filters.about_messages
        self._waiting: set[bytes] = set()  # sends that matched and whose outcome has not come yet

    def take(self, block: bytes) -> list[tuple[int, dict[str, Any]]]:
        """The records of one block of whole lines that match, with where they begin."""
        found: list[tuple[int, dict[str, Any]]] = []
        if not self._sorted:
            self._needles, self._sorted = sorted(self._needles, key=block.count), True
        begun = dict.fromkeys(self._waiting, 0)
        for start, line in _holding(block, self._needles):
            if _DECISION in line and self._is_outside(line):
                continue
            record = record_of(line)
            if record is None:
                continue
            if self._about:
                if record.get("stage") == "outcome" or not matches(record, self._filters):
                    continue
                if record.get("stage") == "intent":
                    begun.setdefault(_send_of(line), start + len(line))
            found.append((start, record))
        if begun:
            found += self._outcomes(block, begun)
            self._waiting = set(begun)
            found.sort(key=_place)
        return found

    def _is_outside(self, line: bytes) -> bool:
        """Whether a line that brings no other one along is of another time; told without parsing it."""
        at = line.rfind(_TS) + len(_TS)
        ts = line[at : at + _TS_CHARACTERS]
        return at >= len(_TS) and (ts < self._since or (self._until is not None and ts >= self._until))

    def _outcomes(self, block: bytes, begun: dict[bytes, int]) -> list[tuple[int, dict[str, Any]]]:
        """The outcomes of the sends in *begun*, which are taken out of it."""
        if len(begun) > _ONE_BY_ONE:
            lines = list(_holding(block, [_OUTCOME]))
        else:
            lines = sorted(
                one for send, start in begun.items() for one in _holding(block, [_SEND + send, _OUTCOME], start, only=1)
            )
        found = []
        for start, line in lines:
            send = _send_of(line)
            if send in begun and (record := record_of(line)) is not None and record.get("stage") == "outcome":
                del begun[send]
                found.append((start, record))
        return found


def _holding(block: bytes, needles: list[bytes], position: int = 0, *, only: int = -1) -> Iterator[tuple[int, bytes]]:
    """The lines of *block* from *position* on that hold all *needles*, with where they begin; at most *only* of them."""
    first, *others = needles or [b"\n"]
    while only and (at := block.find(first, position)) >= 0:
        start = block.rfind(b"\n", 0, at) + 1
        position = (block.find(b"\n", at) + 1) or len(block)
        line = block[start:position]
        if all(needle in line for needle in others):
            only -= 1
            yield start, line


def _send_of(line: bytes) -> bytes:
    start = line.rfind(_SEND) + len(_SEND)  # the last one: what a control notes stands before it
    return line[start : start + _ID_CHARACTERS] if start >= len(_SEND) else b""


def _needles(filters: Filters) -> list[bytes]:
    """What every matching intent or decision holds; without a filter on messages, what every matching record holds."""
    named = {name: getattr(filters, name) for name in ("channel", "tenant", "decision", "conversation", "policy")}
    named["send_id"] = filters.send
    if not filters.about_messages:
        named["stage"] = filters.stage
    people = filters.recipients or ()
    words = [filters.control, filters.entity, *(people if len(people) == 1 else ())]
    found = [f'"{name}":{json.dumps(value)}' for name, value in named.items() if value is not None]
    found += [json.dumps(value) for value in words if value is not None]
    return [needle.encode("ascii") for needle in found if "\\" not in needle]  # of others, the log may have another form
