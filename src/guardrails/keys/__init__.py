"""One master key, and HMAC sub-keys per purpose and tenant."""

from __future__ import annotations

from guardrails.keys.digester import Digester
from guardrails.keys.epochs import Epochs
from guardrails.keys.master import Keys
from guardrails.keys.material import KEY_BYTES

__all__ = ["KEY_BYTES", "Digester", "Epochs", "Keys"]
