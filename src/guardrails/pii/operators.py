"""
What becomes of a finding: our own operators, and presidio-anonymizer's where one is given.

Masking what is masked already never reveals more: an operator's output shows a part of its input, or none of it.
The operators that need a key are in `operators_keyed`; all of ours run inside presidio's engine by `operators_presidio`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Any, Final, Protocol, TypeAlias

from guardrails.errors import Blocked, ConfigError
from guardrails.pii.failures import SpeakableError
from guardrails.pii.operators_keyed import Encrypt, Hash
from guardrails.pii.operators_synthetic import Synthetic
from guardrails.pii.registry import check_names
from guardrails.pii.spans import placeholder
from guardrails.pii.vault.pseudonym import Pseudonym

DEFAULT: Final = "DEFAULT"
# Numbers that people recognise by their last digits. Everything else is replaced whole under "partial".
KEEPS_ITS_END: Final = frozenset(
    {"PHONE_NUMBER", "CREDIT_CARD", "IBAN_CODE", "US_SSN", "US_BANK_NUMBER", "US_ITIN", "US_PASSPORT", "UK_NHS"}
)
_DOMAIN: Final = re.compile(r"[\w-]+(?:\.[\w-]+)+")
_HIDDEN: Final = "***"


class Operator(Protocol):
    """Turns a found value into what stands in its place."""

    def apply(self, entity: str, value: str, /) -> str:
        """What stands in the place of *value*, which was found as *entity*."""


@dataclass(frozen=True, slots=True)
class Replace:
    """
    Replaces the whole value.

    Args:
        new_value: What stands in its place; None for the entity's name, such as `<EMAIL_ADDRESS>`.

    >>> Replace().apply("EMAIL_ADDRESS", "ann@example.com"), Replace("[removed]").apply("URL", "example.com")
    ('<EMAIL_ADDRESS>', '[removed]')
    """

    new_value: str | None = None

    def __post_init__(self) -> None:
        if self.new_value is not None and not isinstance(self.new_value, str):
            raise ConfigError(f"Replace(new_value=...) takes a str, not {type(self.new_value).__name__}")

    def apply(self, entity: str, value: str, /) -> str:  # noqa: ARG002 - an operator is given both
        """The new value."""
        return placeholder(entity) if self.new_value is None else self.new_value


@dataclass(frozen=True, slots=True)
class Partial:
    """
    Keeps the end of a number and the domain of an e-mail address, never any of its local part; replaces everything else.

    A number keeps at most the half of its letters and digits.

    Args:
        keep_last: Letters and digits of a number to keep, at least 1.

    >>> Partial().apply("PHONE_NUMBER", "+1 212 555 0173"), Partial().apply("EMAIL_ADDRESS", "ann@example.com")
    ('***0173', '***@example.com')
    """

    keep_last: int = 4

    def __post_init__(self) -> None:
        if type(self.keep_last) is not int or self.keep_last < 1:
            raise ConfigError("Partial(keep_last=...) takes an int of at least 1; use Replace() to keep nothing")

    def apply(self, entity: str, value: str, /) -> str:
        """The masked value."""
        if entity == "EMAIL_ADDRESS":
            domain = value.rpartition("@")[2]
            return f"{_HIDDEN}@{domain}" if "@" in value and _DOMAIN.fullmatch(domain) else placeholder(entity)
        if entity not in KEEPS_ITS_END:
            return placeholder(entity)
        visible = "".join(filter(str.isalnum, value))
        kept = min(self.keep_last, len(visible) // 2)
        return _HIDDEN + visible[len(visible) - kept :]


@dataclass(frozen=True, slots=True)
class Redact:
    """
    Takes the value out and leaves nothing.

    >>> Redact().apply("URL", "example.com")
    ''
    """

    def apply(self, entity: str, value: str, /) -> str:  # noqa: ARG002 - an operator is given both
        """Nothing."""
        return ""


@dataclass(frozen=True, slots=True)
class Keep:
    """
    Leaves the value as it is; the finding is still on the record.

    >>> Keep().apply("URL", "example.com")
    'example.com'
    """

    def apply(self, entity: str, value: str, /) -> str:  # noqa: ARG002 - an operator is given both
        """The value itself."""
        return value


@dataclass(frozen=True, slots=True)
class Block:
    """Refuses the whole message in which the entity is found: `Blocked`, with the type and never the value."""

    def apply(self, entity: str, value: str, /) -> str:  # noqa: ARG002 - an operator is given both
        """
        Never returns.

        Raises:
            Blocked: Always.
        """
        raise Blocked(f"{entity} may not be sent", findings={entity: 1})


@dataclass(frozen=True, slots=True)
class Foreign:
    """
    An operator of presidio-anonymizer.

    Args:
        operator: The operator.
        params: Its parameters; `entity_type` is added to each call, as the anonymizer does. They may be keys: not shown.
    """

    operator: Any = field(repr=False)
    params: Mapping[str, Any] = field(default_factory=lambda: MappingProxyType({}), repr=False)

    def apply(self, entity: str, value: str, /) -> str:
        """
        What the operator makes of *value*.

        Raises:
            SpeakableError: It answered with something else than text.
        """
        masked = self.operator.operate(text=value, params={**self.params, "entity_type": entity})
        if not isinstance(masked, str):
            raise SpeakableError(f"operator for {entity} answered {type(masked).__name__} instead of str")
        return masked

    def __repr__(self) -> str:
        return f"Foreign({type(self.operator).__name__})"


OperatorLike: TypeAlias = "str | Operator | object"
_OURS: Final = (Replace, Partial, Redact, Keep, Block, Hash, Encrypt, Pseudonym, Synthetic)
_BY_NAME: Final[Mapping[str, Callable[[], Operator]]] = MappingProxyType(
    {ours.__name__.lower(): ours for ours in _OURS}  # the keyed ones take the key of this machine
)


def operators_for(given: Mapping[str, OperatorLike] | None, entities: Collection[str]) -> dict[str, Operator]:
    """
    The operator of each entity.

    Args:
        given: Entity name (or `"DEFAULT"`) to operator.
        entities: All that can be found.

    Raises:
        ConfigError: Unknown entity or operator, or an operator refuses its parameters.
    """
    if given is not None and not isinstance(given, Mapping):
        raise ConfigError(f"MaskPII(operators=...) takes a mapping of entity to operator, not {type(given).__name__}")
    chosen = {} if given is None else dict(given)
    check_names(chosen, {*entities, DEFAULT}, argument="operators")
    default = made(DEFAULT, chosen.pop(DEFAULT, "replace"))
    known = {entity: made(entity, operator) for entity, operator in chosen.items()}
    return {entity: known.get(entity, default) for entity in sorted(entities)}


def made(entity: str, given: OperatorLike) -> Operator:
    """
    The operator that *given* means.

    Raises:
        ConfigError: There is no such operator, or it refuses its parameters.
    """
    if isinstance(given, _OURS):
        return given
    if isinstance(given, str):
        if given not in _BY_NAME:
            raise ConfigError(
                f"MaskPII(operators={{{entity!r}: {given!r}}}): unknown operator; there are "
                f"{', '.join(map(repr, sorted(_BY_NAME)))}, their classes, and presidio's OperatorConfig(...)"
            )
        return _BY_NAME[given]()
    # Only who already holds one of presidio-anonymizer's objects pays for its import (about two seconds).
    if any(kind.__module__.partition(".")[0] == "presidio_anonymizer" for kind in type(given).__mro__):
        return _foreign(entity, given)
    raise ConfigError(
        f"MaskPII(operators={{{entity!r}: ...}}): {type(given).__name__} is no operator; use "
        f"{', '.join(map(repr, sorted(_BY_NAME)))}, their classes, or presidio's OperatorConfig(...)"
    )


def _foreign(entity: str, given: object) -> Operator:
    from presidio_anonymizer.entities import InvalidParamError, OperatorConfig  # noqa: PLC0415
    from presidio_anonymizer.operators import Operator as PresidioOperator  # noqa: PLC0415
    from presidio_anonymizer.operators import OperatorsFactory, OperatorType  # noqa: PLC0415

    if isinstance(given, PresidioOperator):
        return Foreign(given)
    if not isinstance(given, OperatorConfig):
        raise ConfigError(f"MaskPII(operators={{{entity!r}: ...}}): {type(given).__name__} is no operator")
    try:
        factory = OperatorsFactory()  # type: ignore[no-untyped-call]  # presidio's constructor has no annotations
        operator = factory.create_operator_class(given.operator_name, OperatorType.Anonymize)
        operator.validate(params={**given.params, "entity_type": entity})
    except InvalidParamError as error:
        kind = type(error).__name__
    else:
        return Foreign(operator, MappingProxyType(dict(given.params)))
    # The parameters may be keys: the error's own text is not repeated.
    raise ConfigError(
        f"MaskPII(operators={{{entity!r}: OperatorConfig({given.operator_name!r})}}): "
        f"presidio-anonymizer refuses it or its parameters ({kind})"
    )
