"""
Spans of one text and what may be done with them. Pure; standard library only.

1. Overlapping spans become one: nothing that any recognizer found stays visible. The surest one gives the type.
2. A replacement that stands in a text already is an *atom*: it is not detected again, and no span crosses it.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from collections.abc import Collection, Iterable, Sequence
from operator import itemgetter
from typing import Final, NamedTuple

_ALNUM: Final = re.compile(r"[^\W_]")
# What operators write: `<TYPE>`, a digest (`operators_keyed.Hash`) or a ciphertext (`Encrypt`) in the letters a to p.
_TOKEN: Final = re.compile(r"<([A-Z][A-Z0-9_]*)(?::hash:[a-p]{12}:[a-p]{32}|:enc:[a-p]{12}:(?:[a-p]{2}){28,})?>")


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


def within(span: Span, places: Sequence[tuple[int, int]]) -> bool:
    """Whether *span* lies wholly inside one of *places*."""
    return any(start <= span.start and span.end <= end for start, end in places)


class Piece(NamedTuple):
    """
    A stretch of a text between two atoms (or its ends).

    Args:
        start: First character.
        end: One past the last character.
        before: The atom that stands before it in the masked text, if any.
        after: The atom that stands after it, if any.
    """

    start: int
    end: int
    before: str
    after: str

    def without(self, spans: Iterable[Span]) -> list[Piece]:
        """What is left of this piece when *spans* (in any order) become atoms."""
        left: list[Piece] = []
        start, before = self.start, self.before
        for span in sorted(spans):
            if span.end <= start or span.start >= self.end:
                continue
            if span.start > start:
                left.append(Piece(start, span.start, before, placeholder(span.type)))
            start, before = span.end, placeholder(span.type)
        if start < self.end:
            left.append(Piece(start, self.end, before, self.after))
        return left


class View:
    """
    Pieces of a text as they stand in the masked text, and the way back to the text's own positions.

    Args:
        source: The text.
        pieces: What to show of it.
    """

    __slots__ = ("_places", "_source", "text")

    def __init__(self, source: str, pieces: Iterable[Piece]) -> None:
        self._source = source
        self._places: list[tuple[int, Piece]] = []  # where a piece begins in the view
        shown: list[str] = []
        width = 0
        for piece in pieces:
            width += len(piece.before)
            self._places.append((width, piece))
            shown += (piece.before, source[piece.start : piece.end], piece.after)
            width += piece.end - piece.start + len(piece.after)
        self.text: str = "".join(shown)

    def back(self, spans: Sequence[Span]) -> list[tuple[Piece, Span]]:
        """
        *spans* of the view as spans of the text, each with its piece.

        One that touches an atom is cut there; of its parts, those stay that hold a letter or a digit.
        """
        found: list[tuple[Piece, Span]] = []
        for span in spans:
            first = max(0, bisect_right(self._places, span.start, key=itemgetter(0)) - 1)
            for place, piece in self._places[first:]:
                if place >= span.end:
                    break
                begin = max(span.start, place)
                end = min(span.end, place + piece.end - piece.start)
                if begin < end:
                    shift = piece.start - place
                    part = Span(begin + shift, end + shift, span.type, span.score)
                    if end - begin == span.end - span.start:
                        found.append((piece, part))
                    elif trimmed_part := trimmed(part, self._source):
                        found.append((piece, trimmed_part))
        return found


def trimmed(span: Span, text: str) -> Span | None:
    """*span* without the whitespace at its ends; None if it holds no letter and no digit."""
    value = text[span.start : span.end]
    if not speaks(value):
        return None
    start = span.start + len(value) - len(value.lstrip())
    return Span(start, start + len(value.strip()), span.type, span.score)


def speaks(text: str) -> bool:
    """Whether *text* holds a letter or a digit."""
    return _ALNUM.search(text) is not None
