"""Rate limits: nothing over the limit, and a refusal costs nothing. Built on `limits`, which is loaded with the first one."""

from __future__ import annotations

from guardrails.ratelimit.concurrency import Concurrency
from guardrails.ratelimit.control import RateLimit
from guardrails.ratelimit.fields import rate_limit_fields
from guardrails.ratelimit.limit import Limit
from guardrails.ratelimit.people import Cap, QuietHours, Suppression, UniqueRecipients, is_stop, message_class, time_zone
from guardrails.ratelimit.use import Use

__all__ = [
    "Cap",
    "Concurrency",
    "Limit",
    "QuietHours",
    "RateLimit",
    "Suppression",
    "UniqueRecipients",
    "Use",
    "is_stop",
    "message_class",
    "rate_limit_fields",
    "time_zone",
]
