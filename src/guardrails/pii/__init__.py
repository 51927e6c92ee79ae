"""Finding and masking personal data."""

from __future__ import annotations

from guardrails.pii.mask import MaskPII
from guardrails.pii.operators import Block, Keep, Operator, Partial, Redact, Replace
from guardrails.pii.operators_keyed import Encrypt, Hash
from guardrails.pii.operators_synthetic import Synthetic
from guardrails.pii.vault import Pseudonym, Vault

__all__ = [
    "Block",
    "Encrypt",
    "Hash",
    "Keep",
    "MaskPII",
    "Operator",
    "Partial",
    "Pseudonym",
    "Redact",
    "Replace",
    "Synthetic",
    "Vault",
]
