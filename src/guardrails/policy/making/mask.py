"""The mask that settings mean."""

from __future__ import annotations

import re
from collections.abc import Callable, Collection
from typing import Any, Final

from guardrails.keys import Keys
from guardrails.pii import MaskPII
from guardrails.pii.operators import DEFAULT, Block, Keep, OperatorLike, Partial, Redact, Replace
from guardrails.pii.operators_keyed import Encrypt, Hash
from guardrails.pii.operators_synthetic import Synthetic
from guardrails.pii.registry import DEFAULT_ENTITIES
from guardrails.pii.vault.pseudonym import Pseudonym
from guardrails.pii.vault.vault import Vault
from guardrails.policy import model
from guardrails.policy.directions import DIRECTIONS, tightness_of
from guardrails.policy.operator import Operator

MASK: Final = "mask_pii"
_FINDING: Final = (
    "names",
    "entities",
    "more_entities",
    "countries",
    "recognizers",
    "analyzer",
    "thresholds",
    "deny",
    "languages",
    "language",
)
_AS_THEY_ARE: Final = (
    "thresholds",
    "deny",
    "languages",
    "language",
    "countries",
    "own",
    "learn",
    "restore_into",
    "over_budget",
    "cache",
)


def mask_of(
    settings: model.Mask, *, vault: Vault | None, keys: Callable[[], Keys | None], path: Callable[[str], str]
) -> MaskPII:
    """
    The control that masks.

    Raises:
        ConfigError: Settings do not go together, or what they name is not there.
    """
    options: dict[str, Any] = {"name": MASK}
    names = settings.names or "model"
    if settings.analyzer is not None:
        options["analyzer"] = path(settings.analyzer)
    else:
        options["names"] = names
    entities = settings.entities
    if settings.more_entities and (entities is not None or settings.analyzer is None):
        entities = list(dict.fromkeys((*(entities or usual_entities(names)), *settings.more_entities)))
    if entities is not None:
        options["entities"] = entities
    operators = {
        scope: {entity: operator_of(one, keys()) for entity, one in said.items()}
        for scope in ("operators", *DIRECTIONS)
        if (said := getattr(settings, scope)) is not None
    }
    if operators:
        options["operators"] = operators.pop("operators", {}) | operators
    if settings.recognizers is not None:
        options["recognizers"] = [path(one) for one in settings.recognizers]
    if settings.allow is not None or settings.allow_patterns is not None:
        patterns = [re.compile(one) for one in settings.allow_patterns or ()]
        options["allow"] = [*(settings.allow or ()), *patterns]
    for name in _AS_THEY_ARE:
        if getattr(settings, name) is not None:
            options[name] = getattr(settings, name)
    if settings.budget is not None:
        options["budget_ms"] = settings.budget * 1_000
    return MaskPII(vault=vault, **options)


def looks_for_more(above: model.Mask, settings: model.Mask) -> bool:
    """Whether *settings* find what *above* does not, and could so hide what it finds behind a looser operator."""
    named = {entity for scope in ("operators", *DIRECTIONS) for entity in getattr(settings, scope) or ()}
    return len({tightness_of(settings, entity) for entity in (*named, DEFAULT)}) > 1 and any(
        getattr(above, name) != getattr(settings, name) for name in _FINDING
    )


def operator_of(settings: Operator, keys: Keys | None) -> OperatorLike:
    """One operator."""
    parameters = dict(settings.parameters)
    match settings.name:
        case "replace":
            return Replace(**parameters)  # type: ignore[arg-type]  # checked when they were read
        case "partial":
            return Partial(**parameters)  # type: ignore[arg-type]
        case "redact":
            return Redact()
        case "keep":
            return Keep()
        case "block":
            return Block()
        case "hash":
            return Hash() if keys is None else Hash(keys)
        case "encrypt":
            return Encrypt() if keys is None else Encrypt(keys)
        case "pseudonym":
            return Pseudonym()
        case "synthetic":
            return Synthetic() if keys is None else Synthetic(keys)
        case other:  # made as MaskPII makes it
            return other


def usual_entities(names: str) -> list[str]:
    """What `MaskPII` looks for when nobody says what."""
    if names == "off":
        return list(DEFAULT_ENTITIES)
    from guardrails.pii.names.decode import ENTITIES  # noqa: PLC0415 - only with names

    return list(dict.fromkeys((*DEFAULT_ENTITIES, *ENTITIES)))


def brought_entities(settings: Collection[model.Mask], path: Callable[[str], str]) -> set[str]:
    """
    What the recognizers find that *settings* bring, and under which names words are denied.

    Raises:
        ConfigError: A file of recognizers cannot be read.
    """
    from guardrails.pii.brought import recognizers_from  # noqa: PLC0415 - loads presidio
    from guardrails.pii.lists import DENIED  # noqa: PLC0415
    from guardrails.pii.registry import of_countries, of_languages  # noqa: PLC0415

    found: set[str] = set()
    for one in settings:
        if one.deny:
            found |= one.deny.keys() if isinstance(one.deny, dict) else {DENIED}
        if one.recognizers:
            for recognizer in recognizers_from([path(each) for each in one.recognizers]):
                found |= set(recognizer.supported_entities)
        if one.countries:
            found |= set(of_countries(one.countries))
        if one.languages:
            found |= set(of_languages(one.languages))
    return found
