"""
The worst messages, shown without anything personal: what is gold and what was found stands as its shape.

A leak is exactly what detection does not find, so a report that printed it would leak it once more.
"""

from __future__ import annotations

import heapq
from collections.abc import Sequence
from typing import Final, NamedTuple, final

from guardrails.reports.quality.gold import NEUTRAL, Row
from guardrails.reports.quality.scoring import Found, Judged

_LONGEST: Final = 400  # characters of an example
_AROUND: Final = 60  # characters of text around the first thing to show


class Part(NamedTuple):
    """
    A stretch of an example.

    Args:
        text: Plain text, or a shape.
        kind: "" for plain text, "found", "leaked" or "over".
        entity: Type, of anything but plain text.
    """

    text: str
    kind: str
    entity: str


class Example(NamedTuple):
    """
    A message, as it may be shown.

    Args:
        line: Its line in the file.
        weight: Letters and digits that leaked or were masked in vain.
        parts: Its parts, in order.
    """

    line: int
    weight: int
    parts: tuple[Part, ...]


@final
class Worst:
    """Keeps the messages with the most letters and digits that leaked, and those with the most masked in vain."""

    def __init__(self, count: int) -> None:
        self._count = count
        self._leaked: list[tuple[int, int, tuple[Part, ...]]] = []
        self._over: list[tuple[int, int, tuple[Part, ...]]] = []

    def add(self, row: Row, findings: Sequence[Found], judged: Judged) -> None:
        """Look at one message."""
        self._keep(self._leaked, judged.leaked, row, findings)
        self._keep(self._over, judged.over, row, findings)

    def _keep(
        self, kept: list[tuple[int, int, tuple[Part, ...]]], weight: int, row: Row, findings: Sequence[Found]
    ) -> None:
        if weight and self._count and (len(kept) < self._count or weight > kept[0][0]):
            push = heapq.heappush if len(kept) < self._count else heapq.heapreplace
            push(kept, (weight, -row.line, shown(row, findings)))

    @property
    def leaked(self) -> list[Example]:
        """The messages that leaked most, the worst first."""
        return [Example(-line, weight, parts) for weight, line, parts in sorted(self._leaked, reverse=True)]

    @property
    def over(self) -> list[Example]:
        """The messages of which most was masked in vain, the worst first."""
        return [Example(-line, weight, parts) for weight, line, parts in sorted(self._over, reverse=True)]


def shape(text: str) -> str:
    """
    *text* with letters and digits made anonymous.

    >>> shape("Ann-Marie, 10 Downing St")
    'Xxx-Xxxxx, 99 Xxxxxxx Xx'
    """
    return "".join(_letter(character) for character in text)


def _letter(character: str) -> str:
    if character.isdigit():
        return "9"
    if character.isalnum():
        return "X" if character.isupper() else "x"
    return character if character.isascii() else "x"


def shown(row: Row, findings: Sequence[Found]) -> tuple[Part, ...]:
    """*row* in parts, of which none holds gold or anything that was found."""
    marks: list[tuple[str, str]] = [("", "")] * len(row.text)
    for start, end, kind in row.spans:
        if kind != NEUTRAL:
            marks[start:end] = [("leaked", kind)] * (end - start)
    gold = [mark[1] for mark in marks]
    for start, end, entity in findings:
        for place in range(start, end):
            marks[place] = ("found", gold[place]) if gold[place] else ("over", entity)
    parts: list[Part] = []
    begin = 0
    for place in range(1, len(marks) + 1):
        if place == len(marks) or marks[place] != marks[begin]:
            kind, entity = marks[begin]
            text = row.text[begin:place]
            parts.append(Part(shape(text) if kind else text, kind, entity))
            begin = place
    return _cut(parts)


def _cut(parts: list[Part]) -> tuple[Part, ...]:
    """*parts* from shortly before the first that leaked or was masked in vain, and not too many."""
    first = next((place for place, part in enumerate(parts) if part.kind in ("leaked", "over")), 0)
    kept: list[Part] = []
    if first and not parts[first - 1].kind:
        text = parts[first - 1].text
        kept.append(Part("… " + text[-_AROUND:] if len(text) > _AROUND or first > 1 else text, "", ""))
    size = 0
    for part in parts[first:]:
        room = _LONGEST - size
        kept.append(part if len(part.text) <= room else part._replace(text=part.text[:room] + " …"))
        size += len(part.text)
        if size >= _LONGEST:
            break
    return tuple(kept)
