"""Rate limits: nothing over the limit, and a refusal costs nothing. Built on `limits`, which is loaded with the first one."""

from __future__ import annotations

from guardrails.ratelimit.control import RateLimit
from guardrails.ratelimit.limit import Limit

__all__ = ["Limit", "RateLimit"]
