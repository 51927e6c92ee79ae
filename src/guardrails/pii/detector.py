"""The two ways to detect: Presidio's recognizers one by one, or an `AnalyzerEngine` that the user brings."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING, Final, Protocol

from guardrails.errors import ConfigError
from guardrails.pii.failures import SpeakableError, check_result
from guardrails.pii.names.decode import beside
from guardrails.pii.registry import check_names, pattern_engine
from guardrails.pii.spans import Span

if TYPE_CHECKING:
    from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerResult

WARM_UP: Final = (
    "Ann, +1 212 555 0173 or 030 123456, ann@example.com, https://example.com/a, 4242 4242 4242 4242, "
    "GB82 WEST 1234 5698 7654 32, 078-05-1120, 192.0.2.1, 2001:db8::1, 00:00:5E:00:53:01"
)


class Detector(Protocol):
    """Looks at one window of text."""

    @property
    def engine(self) -> AnalyzerEngine:
        """The engine with the same registry; `engine.analyze(window)` is what `spans` is compared with."""

    @property
    def entities(self) -> frozenset[str]:
        """What can be found."""

    @property
    def has_names(self) -> bool:
        """Whether a recognizer of names is known to be among the recognizers."""

    @property
    def looks_again(self) -> bool:
        """Whether the text is looked at again with what was found replaced, until nothing more is found."""

    def spans(self, text: str, /) -> list[Span]:
        """What is found in *text*, overlaps and all."""

    def again(self, text: str, /) -> list[Span]:
        """What a further look finds in *text*, in which replacements stand for what was found."""


class PatternDetector:
    """
    Presidio's pattern recognizers without an NLP engine; the results are those of `engine.analyze`.

    A further look uses patterns only: what a name model says depends on all of a text, and it has had its say.

    Args:
        entities: What to look for; None for the default set.
        floors: Least score per entity, for those that differ from the engine's.
        floor: Least score of the others; None for the engine's.
        language: The language to register the recognizers under.
        names: Recognizers of names; what a pattern finds, it names.
        more: Recognizers that a user brought.
        also: Entities beside those.
    """

    looks_again = True

    def __init__(
        self,
        entities: Sequence[str] | None,
        floors: Mapping[str, float],
        floor: float | None,
        *,
        language: str,
        names: Sequence[EntityRecognizer] = (),
        more: Sequence[EntityRecognizer] = (),
        also: Sequence[str] = (),
    ) -> None:
        from guardrails.pii.fast.answers import Answers  # noqa: PLC0415 - loads presidio
        from guardrails.pii.fast.hits import distinct  # noqa: PLC0415

        self.engine: AnalyzerEngine = pattern_engine(entities, language=language, names=names, more=more, also=also)
        recognizers: tuple[EntityRecognizer, ...] = tuple(self.engine.registry.recognizers)
        self._named = recognizers[len(recognizers) - len(names) :]
        self.has_names: bool = bool(names)
        self._names = [entity for recognizer in recognizers for entity in recognizer.supported_entities]
        self._nothing = self.engine.nlp_engine.process_text("", language)  # no NLP: the same artifacts for every text
        wanted = frozenset(self._names)
        self.entities: frozenset[str] = wanted if entities is None else wanted.intersection((*entities, *also))
        check_names(floors, self.entities, argument="thresholds")
        if floor is not None:
            self.engine.default_score_threshold = floor
        default = self.engine.default_score_threshold
        for recognizer in recognizers:
            own = recognizer.score_thresholds  # of one that a user brought
            own |= {entity: floors[entity] for entity in recognizer.supported_entities if entity in floors}
            recognizer.score_thresholds = own
        self._floors = {entity: floors.get(entity, default) for entity in self._names}
        self._patterns: Callable[[str], list[Span]] = Answers(
            self.engine, language, None, recognizers=recognizers[: len(recognizers) - len(names)]
        ).spans
        self._distinct = distinct
        self._is_narrowed = self.entities != wanted

    def spans(self, text: str, /) -> list[Span]:
        """What is found in *text*, overlaps and all."""
        patterns = self.again(text)
        if not self._named:
            return patterns
        return [*patterns, *beside(self._by_name(text), patterns, text)]

    def again(self, text: str, /) -> list[Span]:
        """What patterns find in *text*, overlaps and all."""
        found = self._patterns(text)
        return [span for span in found if span.type in self.entities] if self._is_narrowed else found

    def _by_name(self, text: str) -> list[Span]:
        found: list[RecognizerResult] = []
        for recognizer in self._named:
            for result in recognizer.analyze(text, self._names, self._nothing) or ():
                check_result(recognizer, text, result)
                found.append(result)
        floors = self._floors
        return self._distinct(_as_spans(one for one in found if one.score >= floors.get(one.entity_type, 2.0)))


class EngineDetector:
    """
    A user's engine, exactly as `engine.analyze(window, language=...)` answers.

    Args:
        engine: The engine.
        entities: Narrows what it looks for; None for all that it knows.
        floors: Least score per entity.
        floor: Least score of the others; None for what the engine and its recognizers say.
        languages: Passed to the engine, one after the other; what any of them finds is found.
    """

    has_names = False  # whether it has, nobody knows
    looks_again = False  # "exactly": a second look could find what the engine alone does not

    def __init__(
        self,
        engine: AnalyzerEngine,
        entities: Sequence[str] | None,
        floors: Mapping[str, float],
        floor: float | None,
        *,
        languages: Sequence[str],
    ) -> None:
        for language in languages:
            if language not in engine.supported_languages:
                supported = ", ".join(map(str, engine.supported_languages))
                raise ConfigError(f"MaskPII(languages=[{language!r}]): the analyzer supports {supported}")
        known = frozenset(entity for language in languages for entity in engine.get_supported_entities(language))
        if entities is not None:
            check_names(entities, known, argument="entities")
        check_names(floors, known, argument="thresholds")
        from guardrails.pii.fast.answers import Answers  # noqa: PLC0415

        self.engine = engine
        self.entities: frozenset[str] = known if entities is None else frozenset(entities)
        default = engine.default_score_threshold if floor is None else floor

        def least(_: EntityRecognizer, entity: str) -> float:
            return floors.get(entity, default)

        is_theirs = not floors and floor is None
        answers = [Answers(engine, one, entities, floors=None if is_theirs else least).spans for one in languages]
        self.spans: Callable[[str], list[Span]] = answers[0] if len(answers) == 1 else _joined(answers)

    def again(self, text: str, /) -> list[Span]:
        """Nothing: an engine is asked once."""
        del text
        return []


def _joined(looks: Sequence[Callable[[str], list[Span]]]) -> Callable[[str], list[Span]]:
    def spans(text: str, /) -> list[Span]:
        return [span for look in looks for span in look(text)]

    return spans


def _as_spans(found: Iterable[RecognizerResult]) -> list[Span]:
    return [Span(result.start, result.end, result.entity_type, result.score) for result in found]


def on_time(look: Callable[[str], list[Span]]) -> Callable[[str], list[Span]]:
    """
    A detector's *look*, refused when it took so long that Presidio may have skipped a pattern.

    Presidio gives each regular expression `REGEX_TIMEOUT_SECONDS` (60, or what the environment says) and then goes on
    without it. Nothing that took less can have skipped one; what took as long is not to be trusted.
    """
    from presidio_analyzer import pattern_recognizer  # noqa: PLC0415

    def spans(text: str, /) -> list[Span]:
        begun = time.monotonic()
        found = look(text)
        if time.monotonic() - begun >= pattern_recognizer.REGEX_TIMEOUT_SECONDS:
            raise SpeakableError("detection took so long that a recognizer may have skipped a pattern")
        return found

    return spans
