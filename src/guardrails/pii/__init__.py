"""Finding and masking personal data."""

from __future__ import annotations

from guardrails.pii.mask import MaskPII
from guardrails.pii.operators import Operator, Partial, Replace

__all__ = ["MaskPII", "Operator", "Partial", "Replace"]
