"""
A detector over another one: what the first finds beside must not hide what the second, alone, would have found.

Where findings overlap, one of them gives the type, and its operator acts. Whoever adds something to look for could so have a
card that is refused go out as a word that is replaced. Here the operator that leaves less of a value acts.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from guardrails.pii.disguise import Look
from guardrails.pii.spans import Span, trimmed, union


def heeding(look: Look, above: Look, tightness: Callable[[str], Any]) -> Look:
    """
    What *look* finds, and nothing looser than what *above* finds.

    Args:
        look: Detection that finds more.
        above: Detection whose findings keep their operators, or get tighter ones.
        tightness: Of the operator of an entity; larger leaves less of a value.
    """

    def spans(text: str, /) -> list[Span]:
        found = look(text)
        return heeded(text, found, above(text), tightness) if found else found

    return spans


def heeded(text: str, found: Iterable[Span], above: Iterable[Span], tightness: Callable[[str], Any]) -> list[Span]:
    """
    *found*, where *above* comes first: each place that *above* covers has its type, or one that is tighter.

    >>> rank = ["EMAIL_ADDRESS", "WORD", "CREDIT_CARD"].index
    >>> heeded("abcdefghij", [Span(0, 10, "WORD", 1.0)], [Span(2, 4, "CREDIT_CARD", 0.9)], rank)
    [Span(start=2, end=4, type='CREDIT_CARD', score=0.9), Span(start=0, end=2, type='WORD', score=1.0), \
Span(start=4, end=10, type='WORD', score=1.0)]
    >>> heeded("abcdefghij", [Span(0, 10, "WORD", 1.0)], [Span(2, 4, "EMAIL_ADDRESS", 0.9)], rank)
    [Span(start=2, end=4, type='WORD', score=0.9), Span(start=0, end=10, type='WORD', score=1.0)]
    """
    first, more = union(above), union(found)
    kept: list[Span] = []
    for span in first:
        tightest = max(
            (one for one in more if one.start < span.end and span.start < one.end),
            key=lambda one: tightness(one.type),
            default=span,
        )
        kept.append(span._replace(type=tightest.type) if tightness(tightest.type) > tightness(span.type) else span)
    beside: list[Span] = []
    for span in more:
        start = span.start
        for one in kept:
            if one.end <= start or one.start >= span.end or tightness(one.type) <= tightness(span.type):
                continue
            beside.append(span._replace(start=start, end=max(start, one.start)))
            start = one.end
        beside.append(span._replace(start=start) if start < span.end else span._replace(start=span.end))
    return [*kept, *(left for span in beside if (left := trimmed(span, text)) is not None)]
