"""What a refusal is to the caller, and to the record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardrails.errors import RateLimited

if TYPE_CHECKING:
    from guardrails.ratelimit.ledger import Refusal


def refused(refusal: Refusal, recipients: int) -> RateLimited:
    """The error for the caller."""
    limit = refusal.charge.rule.limit
    window = f"{limit.amount} in {limit.window_seconds} s"
    who = f", recipient {refusal.charge.position} of {recipients}" if refusal.charge.position and recipients > 1 else ""
    says = (
        f"{limit.label} can never fit ({window})" if refusal.retry_after is None else f"{limit.label} is used up ({window})"
    )
    return RateLimited(says + who, retry_after=refusal.retry_after, limit=limit.label, scope=limit.counted)


def detail_of(refusal: Refusal) -> dict[str, str | int | bool | None]:
    """The facts for the record."""
    limit = refusal.charge.rule.limit
    wait = refusal.retry_after
    return {
        "limit": limit.label,
        "scope": limit.counted,
        "amount": limit.amount,
        "window_s": limit.window_seconds,
        "retry_after_ms": None if wait is None else -int(-wait * 1_000 // 1),
        "recipient": refusal.charge.position or None,
    }
