"""Rate limits: nothing over the limit, and a refusal costs nothing. Built on `limits`, which is loaded with the first one."""

from __future__ import annotations

from guardrails.ratelimit.concurrency import Concurrency
from guardrails.ratelimit.control import RateLimit
from guardrails.ratelimit.limit import Limit
from guardrails.ratelimit.people import Cap, QuietHours, Suppression, UniqueRecipients, is_stop, message_class, time_zone

__all__ = [
    "Cap",
    "Concurrency",
    "Limit",
    "QuietHours",
    "RateLimit",
    "Suppression",
    "UniqueRecipients",
    "is_stop",
    "message_class",
    "time_zone",
]
