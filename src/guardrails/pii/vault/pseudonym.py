"""The operator that puts a token in a value's place."""

from __future__ import annotations

from dataclasses import dataclass, field

from guardrails.errors import ConfigError
from guardrails.pii.failures import wordless
from guardrails.pii.spans import placeholder
from guardrails.pii.vault.vault import Vault


@dataclass(frozen=True, slots=True)
class Pseudonym:
    """
    Replaces the value by a token that a vault can turn back for the same subject: `IDEMAIL-bcdf-ghjk-lmnp-qrst`.

    In `MaskPII(vault=..., operators={...: "pseudonym"})` the message says whose token it is. Where nobody says it (a text
    that is masked outside of a message), the value is replaced by `<EMAIL_ADDRESS>` for good.

    Args:
        vault: Where the value is kept; None for the vault of the `MaskPII` around it.
        subject: Whose token, for use outside of `MaskPII`.
        tenant: Of which tenant.

    >>> vault = Vault()
    >>> token = Pseudonym(vault, subject="ann-17").apply("EMAIL_ADDRESS", "ann@example.com")
    >>> vault.restore(f"Write to {token}", subject="ann-17")
    'Write to ann@example.com'
    """

    vault: Vault | None = field(default=None, repr=False)
    subject: str | None = field(default=None, repr=False)
    tenant: str | None = None

    def __post_init__(self) -> None:
        if self.vault is not None and not isinstance(self.vault, Vault):
            raise ConfigError(f"Pseudonym(vault=...) takes a Vault, not {type(self.vault).__name__}")
        if (self.vault is None) != (self.subject is None):
            raise ConfigError("Pseudonym takes vault= and subject= together, or neither inside of MaskPII(vault=...)")

    @wordless
    def apply(self, entity: str, value: str, /) -> str:
        """The token that stands for *value*."""
        if self.vault is None or self.subject is None:
            return placeholder(entity)
        return self.vault.session(self.subject, tenant=self.tenant).token(entity, value)
