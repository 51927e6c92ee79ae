"""
What a Presidio engine answers for a text, for less: the same types, places and scores.

1. One pass says which patterns can match at all (`guardrails.pii.fast.gate`); most texts end here.
2. Recognizers whose loop is Presidio's run in a lean one (`guardrails.pii.fast.lean`), phone numbers in one scan for all
   regions (`guardrails.pii.fast.scan`); every other recognizer runs as it is written.
3. Linguistic processing and context words are asked only where something was found, unless a recognizer needs them.
4. Where Presidio is not the code that this repeats (`guardrails.pii.fast.known`), the engine itself answers.

Source: presidio-analyzer 2.2.366 `AnalyzerEngine.analyze`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Sequence
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, NamedTuple, final

from presidio_analyzer import AnalyzerEngine, EntityRecognizer, PatternRecognizer, RecognizerResult
from presidio_analyzer.context_aware_enhancers import LemmaContextAwareEnhancer
from presidio_analyzer.nlp_engine import NoOpNlpEngine
from presidio_analyzer.predefined_recognizers import IbanRecognizer, PhoneRecognizer

from guardrails.pii.cards import CardGroups
from guardrails.pii.context import Phrases, WholeWords, phrases
from guardrails.pii.failures import check_result
from guardrails.pii.fast.gate import Gate
from guardrails.pii.fast.hits import ID, NAME, Hit, as_result, as_span, distinct, in_their_context, merged_results, name_of
from guardrails.pii.fast.known import knows_presidio
from guardrails.pii.fast.lean import LeanPattern, lean_patterns, patterns_of
from guardrails.pii.phones import gate_of, places_of
from guardrails.pii.recognizers import Gated, IbanInAnyCase
from guardrails.pii.spans import Span

if TYPE_CHECKING:
    from presidio_analyzer.nlp_engine import NlpArtifacts

Floors = Callable[[EntityRecognizer, str], float]
_ALONE: Final = (IbanRecognizer.analyze, IbanInAnyCase.analyze, CardGroups.analyze)
_loading = Lock()


class _Member(NamedTuple):
    """A recognizer, and the numbers of the patterns without which it finds nothing; None if there is no telling."""

    recognizer: EntityRecognizer
    places: Callable[[str], Collection[tuple[int, int, float]]] | None  # of a phone recognizer of a known kind
    patterns: frozenset[int] | None
    gate: re.Pattern[str] | None
    is_alone: bool  # finds its one entity by the text alone


@final
class Answers:
    """
    Answers as *engine* does.

    Args:
        engine: A Presidio engine.
        language: Passed to it.
        entities: Narrows what it looks for; None for all.
        floors: Least score of an entity of a recognizer; None for what the engine and its recognizers say.
        recognizers: Those to ask; None for those of the engine's registry, now and whenever it changes.
    """

    __slots__ = (
        *("_artifacts", "_asks_context", "_default", "_engine", "_entities", "_floors", "_gate", "_language", "_lean"),
        *("_names", "_needs_language", "_only", "_own", "_recognizers", "_seen", "_by_id", "_is_known", "_least"),
        "_without_re2",
        "_words",
    )

    def __init__(
        self,
        engine: AnalyzerEngine,
        language: str,
        entities: Sequence[str] | None,
        *,
        floors: Floors | None = None,
        recognizers: Sequence[EntityRecognizer] | None = None,
    ) -> None:
        self._engine = engine
        self._language = language
        self._entities = None if entities is None else list(entities)
        self._floors = floors
        self._only = None if recognizers is None else list(recognizers)
        self._read()

    def _read(self) -> None:
        """Compile what the registry holds now."""
        engine = self._engine
        self._seen: list[EntityRecognizer] = list(engine.registry.recognizers)
        self._default: float = engine.default_score_threshold
        self._recognizers: list[EntityRecognizer] = (
            engine.registry.get_recognizers(language=self._language, entities=self._entities, all_fields=not self._entities)
            if self._only is None
            else self._only
        )
        with _loading:  # Presidio loads under the first text, without a lock
            for recognizer in self._recognizers:
                if not recognizer.is_loaded:
                    recognizer.load()
                    recognizer.is_loaded = True
        self._names: list[str] = self._entities or list(
            {entity for one in self._recognizers for entity in one.supported_entities}
        )
        self._by_id = {one.id: one for one in self._recognizers}
        self._is_known = knows_presidio() and _is_plain(engine)
        if self._is_known:
            self._compile()

    def _compile(self) -> None:
        engine = self._engine
        lean: list[LeanPattern] = []
        sources: list[tuple[str, int]] = []
        own: list[_Member] = []
        without_re2: list[tuple[re.Pattern[str] | None, range]] = []
        for recognizer in self._recognizers:
            kind, gate = _kind(recognizer)
            first = len(sources)
            if kind is PatternRecognizer.analyze and isinstance(recognizer, PatternRecognizer):
                patterns = lean_patterns(recognizer)
                lean += patterns
                sources += [(pattern.source, pattern.flags) for pattern in patterns]
                without_re2.append((gate, range(first, len(sources))))
                continue
            own.append(_Member(recognizer, None, None, gate, kind in _ALONE))
        # Numbers of lean patterns come first, so that a number is a place in the list.
        for place, member in enumerate(own):
            first = len(sources)
            if isinstance(member.recognizer, IbanRecognizer) and _kind(member.recognizer)[0] is IbanRecognizer.analyze:
                sources += [(pattern.regex, flags) for pattern, flags in patterns_of(member.recognizer)]
            elif isinstance(member.recognizer, PhoneRecognizer) and (places := places_of(member.recognizer)) is not None:
                gate = gate_of(member.recognizer)
                sources.append((gate.pattern, 0))
                member = member._replace(places=places, gate=gate)  # noqa: PLW2901 - the same member, better known
            elif member.gate is not None:
                sources.append((member.gate.pattern, member.gate.flags))
            else:
                continue
            own[place] = member._replace(patterns=frozenset(range(first, len(sources))))
        self._lean = lean
        self._own = own
        self._without_re2 = without_re2
        self._gate = Gate(sources)
        self._needs_language = any(member.patterns is None for member in own)
        is_silent = type(engine.nlp_engine) is NoOpNlpEngine
        self._artifacts: NlpArtifacts | None = engine.nlp_engine.process_text("", self._language) if is_silent else None
        enhancer = engine.context_aware_enhancer
        keeps_scores = all(
            type(one).enhance_using_context is EntityRecognizer.enhance_using_context for one in self._recognizers
        )
        self._words: dict[str, Phrases] | None = None
        if type(enhancer) is WholeWords and keeps_scores:
            self._words = {one.id: phrases(one.context) for one in self._recognizers if one.context}
        # Without tokens the only word around a match is "", which supports nothing but an empty context word.
        self._asks_context = self._words is None and not (
            is_silent
            and keeps_scores
            and type(enhancer) is LemmaContextAwareEnhancer
            and all(all(one.context or ()) for one in self._recognizers)
        )
        self._least = {
            (one.id, entity): self._floor(one, entity) for one in self._recognizers for entity in one.supported_entities
        }

    def spans(self, text: str, /) -> list[Span]:
        """What the engine finds in *text*, without duplicates, in no order."""
        if self._only is None and (
            self._engine.registry.recognizers != self._seen or self._engine.default_score_threshold != self._default
        ):
            self._read()
        if not self._is_known:
            return self._as_the_engine(text)
        passing = self._passing(text)
        if not passing and not self._needs_language:
            return []
        hits, results, artifacts = self._found(text, passing)
        if results or (hits and self._asks_context):
            return self._in_context(text, hits, results, artifacts)
        if not hits:
            return []
        if self._words:
            hits = in_their_context(text, hits, self._words)
        least = self._least
        return distinct(
            [
                Span(start, end, entity, score)
                for recognizer, start, end, score in hits
                if score >= least[recognizer.id, (entity := recognizer.supported_entities[0])]
            ]
        )

    def _found(self, text: str, passing: Collection[int]) -> tuple[list[Hit], list[RecognizerResult], NlpArtifacts | None]:
        """What recognizers of a known kind found, what others did, and what linguistic processing wrote, if any ran."""
        lean = self._lean
        count = len(lean)
        hits: list[Hit] = []
        for number in passing:
            if number < count:
                pattern = lean[number]
                hits += [Hit(pattern.recognizer, *found) for found in pattern.found(text)]
        results: list[RecognizerResult] = []
        artifacts = self._artifacts
        for member in self._own:
            if member.patterns is not None and member.patterns.isdisjoint(passing):
                continue
            if member.places is not None:
                hits += [Hit(member.recognizer, *found) for found in member.places(text)]
                continue
            if member.is_alone:
                every = member.recognizer.analyze(text, self._names, artifacts)  # type: ignore[arg-type]  # none is fine
                hits += [Hit(member.recognizer, found.start, found.end, found.score) for found in every]
                continue
            if artifacts is None:
                artifacts = self._engine.nlp_engine.process_text(text, self._language)
            results += self._asked(member.recognizer, text, artifacts)
        return hits, results, artifacts

    def _passing(self, text: str) -> Collection[int]:
        if not self._gate.is_open:
            return self._gate.passing(text)
        passing = {
            number
            for gate, numbers in self._without_re2
            if gate is None or gate.search(text) is not None
            for number in numbers
        }
        for member in self._own:
            if member.patterns is not None and (member.gate is None or member.gate.search(text) is not None):
                passing |= member.patterns
        return passing

    def _asked(self, recognizer: EntityRecognizer, text: str, artifacts: Any) -> list[RecognizerResult]:
        """What *recognizer* answers, as the engine passes it on."""
        found = recognizer.analyze(text=text, entities=self._names, nlp_artifacts=artifacts) or []
        for result in found:
            check_result(recognizer, text, result)
            if not result.recognition_metadata:
                result.recognition_metadata = {}
            result.recognition_metadata.setdefault(ID, recognizer.id)
            result.recognition_metadata.setdefault(NAME, name_of(recognizer))
        return found

    def _in_context(
        self, text: str, hits: list[Hit], results: list[RecognizerResult], artifacts: NlpArtifacts | None
    ) -> list[Span]:
        """As the engine goes on from what its recognizers found."""
        if artifacts is None:
            artifacts = self._engine.nlp_engine.process_text(text, self._language)
        merged = merged_results([*map(as_result, hits)]) + results
        enhanced = self._engine._enhance_using_context(text, merged, artifacts, self._recognizers)  # noqa: SLF001
        return distinct([as_span(result) for result in enhanced if result.score >= self._floor_of(result)])

    def _floor_of(self, result: RecognizerResult) -> float:
        recognizer = self._by_id.get(str((result.recognition_metadata or {}).get(ID)))
        if recognizer is None:
            return self._default
        return self._floor(recognizer, result.entity_type)

    def _floor(self, recognizer: EntityRecognizer, entity: str) -> float:
        if self._floors is not None:
            return self._floors(recognizer, entity)
        own = recognizer.score_thresholds
        return own.get(entity, own.get("default", self._default))

    def _as_the_engine(self, text: str) -> list[Span]:
        """What the engine itself answers."""
        if self._only is not None:
            return self._one_by_one(text)
        if self._floors is None:
            found = self._engine.analyze(text, language=self._language, entities=self._entities)
            return [as_span(one) for one in self._checked(text, found)]
        # The engine's own floors must not hide what ours let through: everything first, then ours.
        found = self._engine.analyze(text, language=self._language, entities=self._entities, score_threshold=0.0)
        return [as_span(result) for result in self._checked(text, found) if result.score >= self._floor_of(result)]

    def _checked(self, text: str, found: list[RecognizerResult]) -> list[RecognizerResult]:
        for result in found:
            check_result(self._by_id.get(str((result.recognition_metadata or {}).get(ID)), self._engine), text, result)
        return found

    def _one_by_one(self, text: str) -> list[Span]:
        """What chosen recognizers of our own engine answer."""
        artifacts = self._engine.nlp_engine.process_text(text, self._language)
        found = [one for recognizer in self._recognizers for one in self._asked(recognizer, text, artifacts)]
        found = self._engine._enhance_using_context(text, found, artifacts, self._recognizers)  # noqa: SLF001
        return distinct([as_span(one) for one in found if one.score >= self._floor_of(one)])


def _is_plain(engine: AnalyzerEngine) -> bool:
    return (
        type(engine) is AnalyzerEngine
        and not engine.log_decision_process
        and not {"analyze", "_enhance_using_context", "get_recognizers"} & vars(engine).keys()
    )


def _kind(recognizer: EntityRecognizer) -> tuple[Any, re.Pattern[str] | None]:
    """The function that analyses for *recognizer*, and our gate in front of it, if any."""
    if "analyze" in vars(recognizer):
        return None, None
    kind = type(recognizer)
    if not isinstance(recognizer, Gated) or kind.analyze is not Gated.analyze:
        return kind.analyze, None
    behind = next(
        vars(each)["analyze"] for each in kind.__mro__[kind.__mro__.index(Gated) + 1 :] if "analyze" in vars(each)
    )
    return behind, recognizer.GATE
