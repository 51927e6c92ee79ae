"""
Our operators for presidio-anonymizer: add the classes to an `AnonymizerEngine` (`DeanonymizeEngine` for decryption).

Presidio makes an operator anew for every value, without arguments, and passes settings as `params`; so each class takes
its settings (`keys`, `tenant`, `keep_last`) from there and hands the work to the operator of the same name here.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, ClassVar, Final

from presidio_anonymizer.entities import InvalidParamError
from presidio_anonymizer.operators import Operator as PresidioOperator
from presidio_anonymizer.operators import OperatorType

from guardrails.errors import ConfigError
from guardrails.pii.operators import Block, Operator, Partial
from guardrails.pii.operators_keyed import Encrypt, Hash
from guardrails.pii.operators_synthetic import Synthetic
from guardrails.pii.vault.pseudonym import Pseudonym

_PRESIDIOS_OWN: Final = frozenset({"entity_type"})


class _Ours(PresidioOperator):
    """One of our operators, as presidio's engine runs it."""

    name: ClassVar[str]
    make: ClassVar[Callable[..., Operator]]
    kind: ClassVar[OperatorType] = OperatorType.Anonymize

    def operate(self, text: str, params: Mapping[str, Any] | None = None) -> str:
        """What stands in the place of *text*."""
        settings = params or {}
        return self._made(settings).apply(settings.get("entity_type", "DEFAULT"), text)

    def validate(self, params: Mapping[str, Any] | None = None) -> None:
        """
        Whether the settings are right.

        Raises:
            InvalidParamError: They are not; the values are not repeated.
        """
        self._made(params or {})

    def operator_name(self) -> str:
        """The name to write into an `OperatorConfig`."""
        return self.name

    def operator_type(self) -> OperatorType:
        """Whether it masks or restores."""
        return self.kind

    def _made(self, params: Mapping[str, Any]) -> Operator:
        settings = {name: value for name, value in params.items() if name not in _PRESIDIOS_OWN}
        try:
            return type(self).make(**settings)
        except ConfigError as error:
            problem = str(error)
        except TypeError:
            problem = f"{self.name}: unknown setting; these were given: {', '.join(sorted(map(str, settings)))}"
        raise InvalidParamError(problem)


class PartialOperator(_Ours):
    """`Partial`; setting `keep_last`."""

    name = "guardrails_partial"
    make: ClassVar[Callable[..., Operator]] = Partial


class HashOperator(_Ours):
    """`Hash`; settings `keys` and `tenant`."""

    name = "guardrails_hash"
    make: ClassVar[Callable[..., Operator]] = Hash


class EncryptOperator(_Ours):
    """`Encrypt`; settings `keys` and `tenant`."""

    name = "guardrails_encrypt"
    make: ClassVar[Callable[..., Operator]] = Encrypt


class BlockOperator(_Ours):
    """`Block`: the engine's caller gets `Blocked`."""

    name = "guardrails_block"
    make: ClassVar[Callable[..., Operator]] = Block


class PseudonymOperator(_Ours):
    """`Pseudonym`; settings `vault`, `subject` and `tenant`."""

    name = "guardrails_pseudonym"
    make: ClassVar[Callable[..., Operator]] = Pseudonym


class SyntheticOperator(_Ours):
    """`Synthetic`; settings `keys` and `tenant`."""

    name = "guardrails_synthetic"
    make: ClassVar[Callable[..., Operator]] = Synthetic


class DecryptOperator(_Ours):
    """Undoes `EncryptOperator` in presidio's `DeanonymizeEngine`; settings `keys` and `tenant`."""

    name = "guardrails_decrypt"
    make: ClassVar[Callable[..., Operator]] = Encrypt
    kind = OperatorType.Deanonymize

    def operate(self, text: str, params: Mapping[str, Any] | None = None) -> str:
        """The value that was encrypted; *text* itself where it does not open."""
        made = self._made(params or {})
        assert isinstance(made, Encrypt)  # noqa: S101 - `make` says so
        return made.decrypt(text)


ANONYMIZERS: Final = (
    PartialOperator,
    HashOperator,
    EncryptOperator,
    BlockOperator,
    PseudonymOperator,
    SyntheticOperator,
)
DEANONYMIZERS: Final = (DecryptOperator,)
