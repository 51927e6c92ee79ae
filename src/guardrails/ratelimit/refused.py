"""What a refusal is to the caller, and to the record."""

from __future__ import annotations

from typing import TYPE_CHECKING

from guardrails.errors import NeverFits, RateLimited

if TYPE_CHECKING:
    from guardrails.ratelimit.charge import Refusal


def refused(refusal: Refusal, recipients: int) -> RateLimited:
    """The error for the caller."""
    limit = refusal.charge.rule.limit
    is_lease = refusal.charge.rule.is_lease
    window = f"{limit.amount} at once" if is_lease else f"{limit.amount} in {limit.window_seconds} s"
    who = f", recipient {refusal.charge.position} of {recipients}" if refusal.charge.position and recipients > 1 else ""
    kind, says = (NeverFits, "can never fit") if refusal.retry_after is None else (RateLimited, "is used up")
    return kind(
        f"{limit.label} {says} ({window}){who}",
        retry_after=refusal.retry_after,
        limit=limit.label,
        scope=limit.counted,
        amount=limit.amount,
        window_seconds=limit.window_seconds,
    )


def detail_of(refusal: Refusal, waited_seconds: float = 0.0) -> dict[str, str | int | bool | None]:
    """The facts for the record."""
    limit = refusal.charge.rule.limit
    wait = refusal.retry_after
    detail: dict[str, str | int | bool | None] = {
        "limit": limit.label,
        "scope": limit.counted,
        "amount": limit.amount,
        "window_s": limit.window_seconds,
        "retry_after_ms": None if wait is None else -int(-wait * 1_000 // 1),
        "recipient": refusal.charge.position or None,
    }
    return {**detail, "waited_ms": round(waited_seconds * 1_000)} if waited_seconds else detail
