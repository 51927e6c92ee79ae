"""Which entities exist, which of them are looked for by default, and the registry of recognizers that finds them."""

from __future__ import annotations

import copy
import difflib
import inspect
from collections.abc import Collection, Iterable, Sequence
from typing import TYPE_CHECKING, Final

from guardrails.errors import ConfigError

if TYPE_CHECKING:
    from presidio_analyzer import AnalyzerEngine, EntityRecognizer

# Left out: what fires mostly on other numbers (US_DRIVER_LICENSE, US_BANK_NUMBER, US_PASSPORT, US_ITIN, UK_NHS,
# MEDICAL_LICENSE, CRYPTO) and dates; all of them can be asked for by name.
DEFAULT_ENTITIES: Final = (
    "PHONE_NUMBER",
    "EMAIL_ADDRESS",
    "CREDIT_CARD",
    "IBAN_CODE",
    "US_SSN",
    "IP_ADDRESS",
    "URL",
    "MAC_ADDRESS",
    "MEDICAL_RECORD_NUMBER",
    "ID",
    "SECRET",
)
# Above the noise of patterns that match any nine digits (0.01 to 0.3), below phone numbers (0.4).
DEFAULT_THRESHOLD: Final = 0.35


def check_names(names: Iterable[str], known: Collection[str], *, argument: str) -> None:
    """
    Refuse names that are not known.

    Raises:
        ConfigError: Says which name, and the nearest known one.
    """
    for name in names:
        if name not in known:
            near = difflib.get_close_matches(str(name).upper(), sorted(known), n=1, cutoff=0.5)
            advice = f"did you mean {near[0]!r}?" if near else f"known here: {', '.join(sorted(known))}"
            raise ConfigError(f"MaskPII({argument}=...): unknown entity {name!r}; {advice}")


def pattern_entities(*, theirs_only: bool = False) -> dict[str, type[EntityRecognizer]]:
    """
    Every entity that can be found without a model and without a network, and the recognizer class for it.

    Args:
        theirs_only: Whether to name Presidio's own class also where ours stands for it.
    """
    from presidio_analyzer import PatternRecognizer, predefined_recognizers  # noqa: PLC0415
    from presidio_analyzer.predefined_recognizers import PhoneRecognizer  # noqa: PLC0415

    from guardrails.pii.labelled import LabelledNumber, MedicalRecordNumber  # noqa: PLC0415
    from guardrails.pii.recognizers import DEFAULT_RECOGNIZERS  # noqa: PLC0415 - loads presidio
    from guardrails.pii.secrets import Secret  # noqa: PLC0415

    known: dict[str, type[EntityRecognizer]] = {}
    shipped = [value for _, value in sorted(vars(predefined_recognizers).items()) if isinstance(value, type)]
    ours: tuple[type[EntityRecognizer], ...] = (
        () if theirs_only else (*DEFAULT_RECOGNIZERS, MedicalRecordNumber, LabelledNumber, Secret)
    )
    for kind in (*shipped, *ours):
        if issubclass(kind, PatternRecognizer | PhoneRecognizer):
            known[_entity_of(kind)] = kind
    return known


def _entity_of(kind: type[EntityRecognizer]) -> str:
    from guardrails.pii.recognizers import OwnPatterns  # noqa: PLC0415 - loads presidio

    if issubclass(kind, OwnPatterns):
        return kind.ENTITY
    entity: str = inspect.signature(kind).parameters["supported_entity"].default
    return entity


def of_countries(countries: Iterable[str]) -> list[str]:
    """
    The entities that Presidio has recognizers for in *countries*.

    Args:
        countries: ISO 3166 codes of two letters, in any case; the United Kingdom is `"uk"` or `"gb"`.

    Raises:
        ConfigError: There are none for a country.
    """
    by_country: dict[str, list[str]] = {}
    for entity, kind in pattern_entities().items():
        if kind.COUNTRY_CODE is not None:
            by_country.setdefault(kind.COUNTRY_CODE.lower(), []).append(entity)
    found: list[str] = []
    for country in countries:
        code = country.lower()
        code = "uk" if code == "gb" else code
        if code not in by_country:
            known = ", ".join(sorted(by_country))
            raise ConfigError(f"MaskPII(countries=...): there are no recognizers for {country!r}; there are for {known}")
        found += by_country[code]
    return found


def of_languages(languages: Iterable[str]) -> list[str]:
    """The entities whose recognizers Presidio keeps for *languages* other than English."""
    wanted = set(languages) - {"en"}
    return [
        entity
        for entity, kind in pattern_entities().items()
        if inspect.signature(kind).parameters["supported_language"].default in wanted
    ]


def pattern_engine(
    entities: Collection[str] | None,
    *,
    language: str,
    names: Sequence[EntityRecognizer] = (),
    more: Sequence[EntityRecognizer] = (),
    also: Iterable[str] = (),
) -> AnalyzerEngine:
    """
    An engine over exactly the recognizers for *entities*, *more* and *names*, without an NLP engine.

    Args:
        entities: What to look for; None for `DEFAULT_ENTITIES`, and what *more* and *names* find.
        language: The language to register all of them under.
        names: Recognizers of names.
        more: Recognizers that a user brought.
        also: Entities beside those.

    Raises:
        ConfigError: An entity is unknown, or *entities* leaves nothing for a recognizer that was brought.
    """
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry  # noqa: PLC0415 - a second of imports
    from presidio_analyzer.nlp_engine import NoOpNlpEngine  # noqa: PLC0415

    from guardrails.pii.cards import CardAmongNumbers  # noqa: PLC0415
    from guardrails.pii.context import WholeWords  # noqa: PLC0415
    from guardrails.pii.labelled import LabelledPhone  # noqa: PLC0415
    from guardrails.pii.recognizers import build  # noqa: PLC0415
    from guardrails.pii.recognizers_more import GluedEmail, InternationalPhone, LocalPhone  # noqa: PLC0415

    known = pattern_entities()
    wanted = tuple(dict.fromkeys((*(DEFAULT_ENTITIES if entities is None else entities), *also)))
    brought = {entity for recognizer in (*names, *more) for entity in recognizer.supported_entities}
    check_names(wanted, known.keys() | brought, argument="entities")
    for recognizer in more if entities is not None else ():
        if not set(wanted).intersection(recognizer.supported_entities):
            missing = ", ".join(recognizer.supported_entities)
            raise ConfigError(f"MaskPII(entities=...): nothing is left for {type(recognizer).__name__}; add {missing}")
    patterns = [build(known[entity], language) for entity in wanted if entity in known]
    if "PHONE_NUMBER" in wanted:
        patterns += (build(kind, language) for kind in (InternationalPhone, LocalPhone, LabelledPhone))
    if "CREDIT_CARD" in wanted:
        patterns.append(build(CardAmongNumbers, language))
    if "EMAIL_ADDRESS" in wanted:
        patterns.append(build(GluedEmail, language))
    labelled = [_labelled(one, language) for one in (*more, *names)]
    registry = RecognizerRegistry(recognizers=[*patterns, *labelled], supported_languages=[language])
    return AnalyzerEngine(
        registry=registry,
        nlp_engine=NoOpNlpEngine(models=[{"lang_code": language, "model_name": ""}]),
        supported_languages=[language],
        default_score_threshold=DEFAULT_THRESHOLD,
        context_aware_enhancer=WholeWords(),
    )


def _labelled(recognizer: EntityRecognizer, language: str) -> EntityRecognizer:
    """*recognizer* under *language*, which is only a label here: everything reads every text. The user's own stays as it is."""
    if recognizer.supported_language == language:
        return recognizer
    twin = copy.copy(recognizer)
    twin.supported_language = language
    return twin
