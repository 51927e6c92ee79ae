"""Reversible tokens: issued for one person of one tenant, kept encrypted, restored for nobody else."""

from __future__ import annotations

from guardrails.pii.vault.pseudonym import Pseudonym
from guardrails.pii.vault.vault import Vault

__all__ = ["Pseudonym", "Vault"]
