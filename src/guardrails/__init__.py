"""
One guard around every function that sends a message: PII masking, rate limiting, audit logging.

    guard = Guard(AuditLog("audit/"), RateLimit("5/minute", per="recipient"), MaskPII(), channel="sms")

    @guard
    def send(to: str, body: str) -> str: ...

The front door is lazy: a name loads what it needs when it is first asked for, and not before.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

__version__ = "0.1.0"

if TYPE_CHECKING:
    from guardrails.adapters.handoff import context
    from guardrails.audit import AuditLog
    from guardrails.core.call import Call
    from guardrails.core.caps import Caps
    from guardrails.core.checks import check, monitor
    from guardrails.core.control import Control, Outcome, Sealed, Step
    from guardrails.core.guard import Guard
    from guardrails.core.message import Conversation, Message, Recipient, Tenant, Text
    from guardrails.core.preview import Decision
    from guardrails.core.stream import Stream
    from guardrails.core.verdict import Allow, Coverage, Defer, Deny, Finding, Rewrite
    from guardrails.errors import (
        Blocked,
        ConfigError,
        ControlError,
        Deferred,
        Denied,
        GuardrailsError,
        RateLimited,
        Unavailable,
    )
    from guardrails.pii import MaskPII
    from guardrails.policy import from_policy
    from guardrails.proof.canary import CanaryReport, canary
    from guardrails.ratelimit import Cap, Concurrency, Limit, QuietHours, RateLimit, Suppression, UniqueRecipients

_WHERE = {
    "guardrails.adapters.handoff": ("context",),
    "guardrails.audit": ("AuditLog",),
    "guardrails.core.call": ("Call",),
    "guardrails.core.caps": ("Caps",),
    "guardrails.core.checks": ("check", "monitor"),
    "guardrails.core.control": ("Control", "Outcome", "Sealed", "Step"),
    "guardrails.core.guard": ("Guard",),
    "guardrails.core.message": ("Conversation", "Message", "Recipient", "Tenant", "Text"),
    "guardrails.core.preview": ("Decision",),
    "guardrails.core.stream": ("Stream",),
    "guardrails.core.verdict": ("Allow", "Coverage", "Defer", "Deny", "Finding", "Rewrite"),
    "guardrails.errors": (
        "Blocked",
        "ConfigError",
        "ControlError",
        "Deferred",
        "Denied",
        "GuardrailsError",
        "RateLimited",
        "Unavailable",
    ),
    "guardrails.pii": ("MaskPII",),
    "guardrails.policy": ("from_policy",),
    "guardrails.proof.canary": ("CanaryReport", "canary"),
    "guardrails.ratelimit": (
        "Cap",
        "Concurrency",
        "Limit",
        "QuietHours",
        "RateLimit",
        "Suppression",
        "UniqueRecipients",
    ),
}
_HOME = {name: module for module, names in _WHERE.items() for name in names}

__all__ = [
    "Allow",
    "AuditLog",
    "Blocked",
    "Call",
    "CanaryReport",
    "Cap",
    "Caps",
    "Concurrency",
    "ConfigError",
    "Control",
    "ControlError",
    "Conversation",
    "Coverage",
    "Decision",
    "Defer",
    "Deferred",
    "Denied",
    "Deny",
    "Finding",
    "Guard",
    "GuardrailsError",
    "Limit",
    "MaskPII",
    "Message",
    "Outcome",
    "QuietHours",
    "RateLimit",
    "RateLimited",
    "Recipient",
    "Rewrite",
    "Sealed",
    "Step",
    "Stream",
    "Suppression",
    "Tenant",
    "Text",
    "Unavailable",
    "UniqueRecipients",
    "__version__",
    "canary",
    "check",
    "context",
    "from_policy",
    "monitor",
]


def __getattr__(name: str) -> object:
    module = _HOME.get(name)
    if module is None:
        raise AttributeError(f"module 'guardrails' has no attribute {name!r}")
    value = getattr(import_module(module), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*globals(), *__all__})
