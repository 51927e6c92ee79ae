"""
What recognizers of a known kind found, and how an engine of Presidio goes on from there: context words, duplicates, results.

Source: presidio-analyzer 2.2.366 `AnalyzerEngine.analyze` and `EntityRecognizer.remove_duplicates`.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import groupby
from operator import attrgetter
from typing import Any, Final, NamedTuple

from presidio_analyzer import AnalysisExplanation, EntityRecognizer, RecognizerResult

from guardrails.pii.context import Phrases, in_context, raised
from guardrails.pii.spans import Span

ID: Final = RecognizerResult.RECOGNIZER_IDENTIFIER_KEY
NAME: Final = RecognizerResult.RECOGNIZER_NAME_KEY


class Hit(NamedTuple):
    """What a recognizer of a known kind found."""

    recognizer: EntityRecognizer
    start: int
    end: int
    score: float


def as_result(hit: Hit) -> RecognizerResult:
    """*hit* as Presidio's own class."""
    recognizer = hit.recognizer
    return RecognizerResult(
        recognizer.supported_entities[0],
        hit.start,
        hit.end,
        hit.score,
        AnalysisExplanation(recognizer=name_of(recognizer), original_score=hit.score),
        {NAME: name_of(recognizer), ID: recognizer.id},
    )


def name_of(recognizer: Any) -> str:
    """What results call *recognizer*."""
    name: str = recognizer.name
    return name


def in_their_context(text: str, hits: list[Hit], words: Mapping[str, Phrases]) -> list[Hit]:
    """*hits*, each with the score that its context words give it; first, duplicates within one recognizer go."""
    by_recognizer: dict[str, list[Hit]] = {}
    for hit in hits:
        by_recognizer.setdefault(hit.recognizer.id, []).append(hit)
    found: list[Hit] = []
    for name, same in by_recognizer.items():
        of = words.get(name)
        if of is None:
            found += same
            continue
        kept = same
        if len(same) > 1:
            spans = set(distinct([Span(hit.start, hit.end, "", hit.score) for hit in same]))
            kept = [hit for hit in same if (hit.start, hit.end, "", hit.score) in spans]
        found += [
            hit._replace(score=raised(hit.score)) if hit.score < 1 and in_context(text, hit.start, of) else hit
            for hit in kept
        ]
    return found


def merged_results(results: list[RecognizerResult]) -> list[RecognizerResult]:
    """*results* as their recognizers would have returned them: without duplicates within one recognizer."""
    by_recognizer: dict[str, list[RecognizerResult]] = {}
    for result in results:
        by_recognizer.setdefault(result.recognition_metadata[ID], []).append(result)
    return [kept for found in by_recognizer.values() for kept in EntityRecognizer.remove_duplicates(found)]


def as_span(result: RecognizerResult) -> Span:
    """*result* as a span of ours."""
    return Span(result.start, result.end, result.entity_type, result.score)


def distinct(found: list[Span]) -> list[Span]:
    """
    *found* without what lies inside of another of its type that is at least as sure.

    Source: presidio-analyzer 2.2.366 `EntityRecognizer.remove_duplicates`.
    """
    if len(found) < 2:  # noqa: PLR2004 - nothing to compare
        return found
    ordered = sorted(set(found), key=lambda span: (span.type, span.start, -span.end, -span.score))
    kept: list[Span] = []
    for _, spans in groupby(ordered, key=attrgetter("type")):
        active: list[Span] = []
        for span in spans:
            active = [one for one in active if one.end >= span.start]
            if not any(one.end >= span.end and one.score >= span.score for one in active):
                kept.append(span)
                active.append(span)
    return kept
