"""What detects, by the arguments of `MaskPII`."""

from __future__ import annotations

import re
from collections.abc import Collection, Mapping, Sequence
from typing import TYPE_CHECKING, Final

from guardrails.errors import ConfigError
from guardrails.pii.brought import engine_from, recognizers_from
from guardrails.pii.detector import Detector, EngineDetector, PatternDetector
from guardrails.pii.lists import DenyList, denied
from guardrails.pii.operators import DEFAULT
from guardrails.pii.registry import DEFAULT_ENTITIES, of_countries, of_languages

if TYPE_CHECKING:
    from presidio_analyzer import AnalyzerEngine, EntityRecognizer, RecognizerRegistry

    from guardrails.pii.brought import Brought

_LANGUAGE: Final = re.compile("[a-z]{2,3}")  # ISO 639
_SPACY: Final = "spacy:"
_MODEL_READS: Final = ("en", "es", "fr", "de", "it", "pt", "nl")


def detector(
    *,
    entities: Sequence[str] | None,
    names: str | EntityRecognizer,
    floor: float | None,
    floors: Mapping[str, float],
    deny: DenyList,
    recognizers: Collection[Brought] | RecognizerRegistry,
    analyzer: AnalyzerEngine | str | None,
    languages: Sequence[str],
    countries: Sequence[str],
) -> Detector:
    """
    What detects.

    Raises:
        ConfigError: An argument is wrong, or two contradict each other.
    """
    if entities is not None and not (is_list_of_words(entities) and entities):
        raise ConfigError("MaskPII(entities=...) takes a list of at least one entity name")
    if not (is_list_of_words(languages) and languages):
        raise ConfigError('MaskPII(languages=...) takes a list of at least one language code, such as ["en"]')
    if not is_list_of_words(countries):
        raise ConfigError('MaskPII(countries=...) takes a list of country codes, such as ["us", "de"]')
    _check_names(names)
    if analyzer is not None:
        if deny or countries or not isinstance(recognizers, Collection) or recognizers:
            raise ConfigError(
                "MaskPII(analyzer=...) finds exactly what the engine finds: add recognizers and lists of words to its registry "
                "instead of recognizers=, deny= or countries="
            )
        return EngineDetector(engine_from(analyzer), entities, floors, floor, languages=languages)
    for one in languages:
        if _LANGUAGE.fullmatch(one) is None:
            raise ConfigError(f'MaskPII(languages=[{one!r}]): a language is two or three small letters, such as "en"')
    language = languages[0]
    always = denied(deny, language)
    if entities is not None:
        entities = [*entities, *(entity for one in always for entity in one.supported_entities)]
    found_by, least = _named(names, entities, floors, floor, languages)
    return PatternDetector(
        entities,
        {**least, **floors},
        floor,
        language=language,
        names=found_by,
        more=[*recognizers_from(recognizers), *always],
        also=[*of_countries(countries), *(of_languages(languages) if entities is None else ())],
    )


def _check_names(names: object) -> None:
    from presidio_analyzer import EntityRecognizer  # noqa: PLC0415 - loads presidio

    if isinstance(names, EntityRecognizer) or names in ("model", "off"):
        return
    if isinstance(names, str) and names.startswith(_SPACY) and names != _SPACY:
        return
    shown = repr(names) if isinstance(names, str) else type(names).__name__
    raise ConfigError(
        f'MaskPII(names={shown}) is not known; use "model", "off", "spacy:<installed package>" or a presidio EntityRecognizer'
    )


def _named(
    names: str | EntityRecognizer,
    entities: Sequence[str] | None,
    floors: Mapping[str, float],
    floor: float | None,
    languages: Sequence[str],
) -> tuple[list[EntityRecognizer], dict[str, float]]:
    """Recognizers of names, and the least scores of what only they find."""
    if names == "off":
        return [], {}
    if not isinstance(names, str):
        if entities is not None and not set(entities).intersection(names.supported_entities):
            return [], {}
        return [names], {}
    from guardrails.pii.names.recognizer import floors_for, recognizers  # noqa: PLC0415 - loads presidio

    found_by = recognizers(
        entities, floors, floor, languages[0], beside=names.removeprefix(_SPACY) if names.startswith(_SPACY) else None
    )
    if found_by and (unread := [language for language in languages if language not in _MODEL_READS]):
        raise ConfigError(
            f"MaskPII(languages=[{unread[0]!r}]): the name model reads {', '.join(_MODEL_READS)}; "
            'bring a recognizer of names, names=..., or use names="off"'
        )
    own = {entity for recognizer in found_by for entity in recognizer.supported_entities}
    return found_by, {
        entity: least for entity, least in floors_for(floors, floor).items() if entity in own - set(DEFAULT_ENTITIES)
    }


def is_list_of_words(value: object) -> bool:
    """Whether *value* is a collection of non-empty str."""
    return isinstance(value, Collection) and not isinstance(value, str) and all(isinstance(w, str) and w for w in value)


def _is_score(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value <= 1


def floors_of(thresholds: float | Mapping[str, float] | None) -> tuple[float | None, dict[str, float]]:
    """Least score of all entities (None: not given) and of single ones."""
    if thresholds is None:
        return None, {}
    floors = dict(thresholds) if isinstance(thresholds, Mapping) else {DEFAULT: thresholds}
    for entity, floor in floors.items():
        if not _is_score(floor):
            raise ConfigError(f"MaskPII(thresholds={{{entity!r}: ...}}): a threshold is a number from 0 to 1")
    return floors.pop(DEFAULT, None), floors
