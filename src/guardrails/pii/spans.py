"""
Spans of one text and what may be done with them. Pure; standard library only.

1. Overlapping spans become one: nothing that any recognizer found stays visible. The surest one gives the type.
2. A replacement that stands in a text already is an *atom*: it is not detected again, and no span crosses it.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable, Sequence
from typing import Final, NamedTuple

_TOKEN: Final = re.compile(r"<([A-Z][A-Z0-9_]*)>")


class Span(NamedTuple):
    """
    Something that was found, as code points of the text it was found in.

    Args:
        start: First character.
        end: One past the last character.
        type: Entity name.
        score: Confidence, 0 to 1.
    """

    start: int
    end: int
    type: str
    score: float

    def moved(self, by: int) -> Span:
        """The same span of a text that begins *by* characters earlier."""
        return Span(self.start + by, self.end + by, self.type, self.score)


def placeholder(entity: str) -> str:
    """
    What stands for a masked value by default.

    >>> placeholder("EMAIL_ADDRESS")
    '<EMAIL_ADDRESS>'
    """
    return f"<{entity}>"


def union(spans: Iterable[Span]) -> list[Span]:
    """
    Non-overlapping spans that cover exactly what *spans* cover, in order.

    The type comes from the highest score, then the longest, then the first, then the smallest name.

    >>> union([Span(4, 15, "URL", 0.5), Span(0, 15, "EMAIL_ADDRESS", 1.0), Span(20, 21, "URL", 0.5)])
    [Span(start=0, end=15, type='EMAIL_ADDRESS', score=1.0), Span(start=20, end=21, type='URL', score=0.5)]
    """
    merged: list[Span] = []
    best: tuple[float, int, int, str] | None = None
    for span in sorted(spans):
        key = (-span.score, span.start - span.end, span.start, span.type)
        if merged and best is not None and span.start < merged[-1].end:
            best = min(best, key)
            last = merged[-1]
            merged[-1] = Span(last.start, max(last.end, span.end), best[3], -best[0])
        else:
            best = key
            merged.append(span)
    return merged


def tokens(text: str, entities: Collection[str]) -> list[Span]:
    """Placeholders of *entities* that stand in *text* already."""
    if "<" not in text:
        return []
    return [Span(match.start(), match.end(), match[1], 1.0) for match in _TOKEN.finditer(text) if match[1] in entities]


def within(spans: Sequence[Span], places: Sequence[tuple[int, int]]) -> list[Span]:
    """The *spans* that lie wholly inside one of *places*."""
    return [span for span in spans if any(start <= span.start and span.end <= end for start, end in places)]


class View:
    """
    A text in which atoms have taken the place of what they stand for, and the way back to the text's own positions.

    Args:
        text: The text.
        atoms: What is replaced; ends outside of the text are cut.
    """

    __slots__ = ("_pieces", "_source", "text")

    def __init__(self, text: str, atoms: Iterable[Span]) -> None:
        pieces: list[tuple[int, int, int]] = []  # start in the view, start in the text, length
        shown: list[str] = []
        position = width = 0
        for atom in sorted(atoms):
            start = max(atom.start, position)
            if atom.end > start:
                pieces.append((width, position, start - position))
                shown += (text[position:start], placeholder(atom.type))
                width += start - position + len(shown[-1])
                position = atom.end
        pieces.append((width, position, max(0, len(text) - position)))
        shown.append(text[position:])
        self._pieces = pieces
        self._source = text
        self.text = "".join(shown)

    def back(self, spans: Iterable[Span]) -> list[Span]:
        """
        *spans* of the view as spans of the text.

        One that touches an atom is cut there; of its parts, those stay that hold a letter or a digit.
        """
        found: list[Span] = []
        for span in spans:
            for view_start, start, length in self._pieces:
                begin = max(span.start, view_start)
                end = min(span.end, view_start + length)
                if begin >= end:
                    continue
                shift = start - view_start
                if end - begin < span.end - span.start:
                    part = self._source[begin + shift : end + shift]
                    if not any(map(str.isalnum, part)):
                        continue
                    begin += len(part) - len(part.lstrip())
                    end -= len(part) - len(part.rstrip())
                found.append(Span(begin + shift, end + shift, span.type, span.score))
        return found
