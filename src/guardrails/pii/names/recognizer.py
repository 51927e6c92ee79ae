"""The name model as a Presidio recognizer: for `MaskPII`, and for any `AnalyzerEngine`."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final

from presidio_analyzer import EntityRecognizer, RecognizerResult

from guardrails.errors import ConfigError
from guardrails.pii.names.decode import BESIDE_PATTERNS, ENTITIES, ID, LOCATION, PERSON, Word, decoded
from guardrails.pii.names.runtime import Runtime, runtime
from guardrails.pii.spans import Span

if TYPE_CHECKING:
    from presidio_analyzer.nlp_engine import NlpArtifacts

# Least probability of the surest word of a finding. Lower finds more and masks more: docs/explanation/quality.md has figures.
NAME_THRESHOLDS: Final[Mapping[str, float]] = MappingProxyType({PERSON: 0.45, LOCATION: 0.25, ID: 0.5})


class NameRecognizer(EntityRecognizer):
    """
    Names of people, places and postal addresses, and numbers of people that no pattern knows.

    Of phone numbers and e-mail addresses it finds some that patterns miss. The model is shared by everything in this process,
    thread-safe, and runs in the thread that asks.

    Args:
        supported_entities: Some of `ENTITIES`; None for all.
        supported_language: The language to register it under; the model reads English, Spanish, French, German, Italian,
            Portuguese and Dutch.
        threshold: Least probability (0 to 1) that the surest word of a finding is part of anything: for all entities, or by
            entity. Words beside it need half of that. None for `NAME_THRESHOLDS`.

    Raises:
        ConfigError: The extra `names` or the model is missing, or a file is not the one we know.
    """

    def __init__(
        self,
        *,
        supported_entities: Sequence[str] | None = None,
        supported_language: str = "en",
        threshold: float | Mapping[str, float] | None = None,
    ) -> None:
        entities = list(ENTITIES if supported_entities is None else supported_entities)
        if unknown := [entity for entity in entities if entity not in ENTITIES]:
            raise ConfigError(f"NameRecognizer finds {', '.join(ENTITIES)}; not {', '.join(map(repr, unknown))}")
        given, every = (threshold, None) if isinstance(threshold, Mapping) else ({}, threshold)
        self._least = {entity: floor for entity, floor in floors_for(given, every).items() if entity in entities}
        self._runtime: Runtime = runtime()
        super().__init__(supported_entities=entities, supported_language=supported_language, name=type(self).__name__)

    def load(self) -> None:
        """Nothing: the model was loaded, checked, when this was built."""

    def analyze(self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None) -> list[RecognizerResult]:
        """What is found in *text* of *entities*."""
        del nlp_artifacts
        return self._results(self._spans(text, self._runtime.words(text), entities))

    def _spans(self, text: str, words: list[Word], entities: Collection[str]) -> list[Span]:
        return decoded(text, words, {entity: floor for entity, floor in self._least.items() if entity in entities})

    def _results(self, spans: Iterable[Span]) -> list[RecognizerResult]:
        metadata = {
            RecognizerResult.RECOGNIZER_NAME_KEY: type(self).__name__,
            RecognizerResult.RECOGNIZER_IDENTIFIER_KEY: self.id,
        }
        return [
            RecognizerResult(span.type, span.start, span.end, span.score, recognition_metadata=dict(metadata))
            for span in spans
        ]


def floors_for(floors: Mapping[str, float], floor: float | None) -> dict[str, float]:
    """Least score of each of `ENTITIES`, where a user said *floors* and, for all others, *floor*."""
    usual = NAME_THRESHOLDS if floor is None else dict.fromkeys(ENTITIES, floor)
    return {entity: floors.get(entity, usual.get(entity, BESIDE_PATTERNS)) for entity in ENTITIES}


def recognizers(
    entities: Sequence[str] | None,
    floors: Mapping[str, float],
    floor: float | None,
    language: str,
    *,
    beside: str | None = None,
) -> list[Any]:
    """
    The name model, if any of *entities* needs it, and the spaCy model *beside* it, if any.

    Phone numbers and e-mail addresses alone do not: patterns find them.
    """
    wanted = [entity for entity in ENTITIES if entities is None or entity in entities]
    if not {PERSON, LOCATION, ID}.intersection(wanted):
        return []
    least = floors_for(floors, floor)
    if beside is None:
        return [NameRecognizer(supported_entities=wanted, supported_language=language, threshold=least)]
    from guardrails.pii.names.spacy_names import NamesWithSpacy  # noqa: PLC0415 - loads spaCy's model

    return [NamesWithSpacy(beside, supported_entities=wanted, supported_language=language, threshold=least)]
