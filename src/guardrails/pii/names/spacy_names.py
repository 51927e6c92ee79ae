"""
A spaCy model beside the name model: it knows places and names that the name model misses, and is wrong more often.

What spaCy finds counts only where the name model gives some word of it at least `GATE`: of its false alarms few are left.

1. Only the named entity recognizer of the model runs, and what it listens to; only on the sentences from the first to the last
   in which the name model has an inkling of something that it did not find itself.
2. What spaCy learns of new words it forgets after each text: its store of strings would grow, and hold what people wrote.
3. An installed package is loaded by name, nothing is ever downloaded.

Source: docs/explanation/quality.md has the figures.
"""

from __future__ import annotations

import os
from collections.abc import Mapping, Sequence
from importlib.util import find_spec
from threading import Lock
from typing import TYPE_CHECKING, Any, Final, final

from guardrails.errors import ConfigError
from guardrails.pii.names.decode import LOCATION, PERSON, Word
from guardrails.pii.names.recognizer import NameRecognizer
from guardrails.pii.names.runtime import HALVES
from guardrails.pii.sentences import Boundaries
from guardrails.pii.spans import Span

if TYPE_CHECKING:
    from presidio_analyzer import RecognizerResult
    from presidio_analyzer.nlp_engine import NlpArtifacts

GATE: Final = 0.05  # least probability, by the name model, of some word of what spaCy found
SCORE: Final = 0.85  # Presidio's for everything that spaCy finds
_ENTITIES: Final[Mapping[str, str]] = {
    **dict.fromkeys(("PERSON", "PER", "persName"), PERSON),
    **dict.fromkeys(("GPE", "LOC", "FAC", "placeName", "geogName"), LOCATION),
}
_NOT_NEEDED: Final = ("tagger", "morphologizer", "parser", "attribute_ruler", "lemmatizer", "senter", "textcat")


@final
class SpacyModel:
    """
    An installed spaCy model.

    Args:
        package: Its name, such as `"en_core_web_sm"`.

    Raises:
        ConfigError: It is not installed here, or has no named entity recognizer.
    """

    def __init__(self, package: str) -> None:
        if not package.isidentifier() or find_spec(package) is None:
            raise ConfigError(
                f'MaskPII(names="spacy:{package}"): {package!r} is not installed here, and nothing is downloaded; '
                'install the model\'s package, or use names="model"'
            )
        import spacy  # noqa: PLC0415 - comes with presidio

        try:
            nlp = spacy.load(package, exclude=_NOT_NEEDED)
        except (OSError, ValueError, ImportError) as error:
            raise ConfigError(f'MaskPII(names="spacy:{package}"): spaCy cannot load it: {type(error).__name__}') from error
        if "ner" not in nlp.pipe_names:
            raise ConfigError(f'MaskPII(names="spacy:{package}"): it has no named entity recognizer')
        for (
            name,
            component,
        ) in nlp.pipeline:  # in spaCy's small models the recognizer of names listens to none of the others
            if "ner" not in getattr(component, "listening_components", ("ner",)):
                nlp.disable_pipe(name)
        self._nlp: Any = nlp
        self._lock = Lock()
        os.register_at_fork(after_in_child=self._unlock)

    def _unlock(self) -> None:
        self._lock = Lock()  # another thread of the parent may have held it

    def spans(self, text: str) -> list[Span]:
        """People and places in *text*, in order."""
        text = HALVES.sub("\ufffd", text)
        with self._lock, self._nlp.memory_zone():
            return [
                Span(entity.start_char, entity.end_char, _ENTITIES[entity.label_], SCORE)
                for entity in self._nlp(text).ents
                if entity.label_ in _ENTITIES
            ]


class NamesWithSpacy(NameRecognizer):
    """
    The name model, and what a spaCy model finds where the name model has at least an inkling.

    Args:
        package: Name of an installed spaCy model.
        supported_entities: As for `NameRecognizer`.
        supported_language: As for `NameRecognizer`.
        threshold: As for `NameRecognizer`.

    Raises:
        ConfigError: The spaCy model, the extra `names` or the name model is missing.
    """

    def __init__(
        self,
        package: str,
        *,
        supported_entities: Sequence[str] | None = None,
        supported_language: str = "en",
        threshold: float | Mapping[str, float] | None = None,
    ) -> None:
        self._spacy = SpacyModel(package)
        super().__init__(supported_entities=supported_entities, supported_language=supported_language, threshold=threshold)

    def analyze(self, text: str, entities: list[str], nlp_artifacts: NlpArtifacts | None = None) -> list[RecognizerResult]:
        """What is found in *text* of *entities*."""
        del nlp_artifacts
        words = self._runtime.words(text)
        found = self._spans(text, words, entities)
        inklings = [word for word in words if word.sure >= GATE]
        unsure = [word for word in inklings if not any(one.start <= word.start and word.end <= one.end for one in found)]
        if unsure:
            start, end = _sentences(text, unsure[0].start, unsure[-1].end)
            theirs = (span.moved(start) for span in self._spacy.spans(text[start:end]))
            found += [
                span for span in theirs if span.type in entities and span.type in self._least and _touches(span, inklings)
            ]
        return self._results(found)


def _sentences(text: str, first: int, last: int) -> tuple[int, int]:
    """Where the sentence that holds *first* begins, and the one that holds what ends at *last* ends."""
    starts = [0, *Boundaries().feed(text), len(text)]
    return max(start for start in starts if start <= first), min(start for start in starts if start >= last)


def _touches(span: Span, words: Sequence[Word]) -> bool:
    return any(word.start < span.end and span.start < word.end for word in words)
