"""One master key, and HMAC sub-keys per purpose and tenant."""

from __future__ import annotations

from guardrails.keys.epochs import Epochs
from guardrails.keys.master import KEY_BYTES, Digester, Keys

__all__ = ["KEY_BYTES", "Digester", "Epochs", "Keys"]
