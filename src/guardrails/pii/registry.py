"""Which entities exist, which of them are looked for by default, and the registry of recognizers that finds them."""

from __future__ import annotations

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

    from guardrails.pii.recognizers import DEFAULT_RECOGNIZERS  # noqa: PLC0415 - loads presidio
    from guardrails.pii.recognizers_more import MedicalRecordNumber  # noqa: PLC0415
    from guardrails.pii.secrets import Secret  # noqa: PLC0415

    known: dict[str, type[EntityRecognizer]] = {}
    shipped = [value for _, value in sorted(vars(predefined_recognizers).items()) if isinstance(value, type)]
    ours: tuple[type[EntityRecognizer], ...] = () if theirs_only else (*DEFAULT_RECOGNIZERS, MedicalRecordNumber, Secret)
    for kind in (*shipped, *ours):
        if issubclass(kind, PatternRecognizer | PhoneRecognizer):
            entity = inspect.signature(kind).parameters["supported_entity"].default
            known[entity] = kind
    return known


def pattern_engine(
    entities: Collection[str] | None, *, language: str, names: Sequence[EntityRecognizer] = ()
) -> AnalyzerEngine:
    """
    An engine over exactly the recognizers for *entities* (default: `DEFAULT_ENTITIES`) and *names*, without an NLP engine.

    Raises:
        ConfigError: An entity is unknown.
    """
    from presidio_analyzer import AnalyzerEngine, RecognizerRegistry  # noqa: PLC0415 - a second of imports
    from presidio_analyzer.nlp_engine import NoOpNlpEngine  # noqa: PLC0415

    from guardrails.pii.recognizers import build  # noqa: PLC0415
    from guardrails.pii.recognizers_more import InternationalPhone  # noqa: PLC0415

    known = pattern_entities()
    wanted = DEFAULT_ENTITIES if entities is None else tuple(dict.fromkeys(entities))
    named = {entity for recognizer in names for entity in recognizer.supported_entities}
    check_names(wanted, known.keys() | named, argument="entities")
    patterns = [build(known[entity], language) for entity in wanted if entity in known]
    if "PHONE_NUMBER" in wanted:
        patterns.append(build(InternationalPhone, language))
    registry = RecognizerRegistry(recognizers=[*patterns, *names], supported_languages=[language])
    return AnalyzerEngine(
        registry=registry,
        nlp_engine=NoOpNlpEngine(models=[{"lang_code": language, "model_name": ""}]),
        supported_languages=[language],
        default_score_threshold=DEFAULT_THRESHOLD,
    )
