"""
The header fields by which HTTP services tell what is left of a limit.

Source: draft-ietf-httpapi-ratelimit-headers (fields RateLimit-Policy and RateLimit, structured fields of RFC 9651; the
parameters q, w, r and t), and RFC 9110 §10.2.3 for Retry-After.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

from guardrails.errors import RateLimited

if TYPE_CHECKING:
    from guardrails.ratelimit.use import Use


def rate_limit_fields(refused: RateLimited | Sequence[Use]) -> Mapping[str, str]:
    """
    Fields for a response.

    Args:
        refused: The refusal; or what `RateLimit.usage` says, for a message that passed.

    Returns:
        Field name to value. There is no partition key (`pk`) in them: it would tell clients apart by what they send.

    >>> error = RateLimited(retry_after=11.2, limit="recipient/minute", amount=5, window_seconds=60)
    >>> for name, value in rate_limit_fields(error).items():
    ...     print(f"{name}: {value}")
    RateLimit-Policy: "recipient/minute";q=5;w=60
    RateLimit: "recipient/minute";r=0;t=12
    Retry-After: 12
    """
    if not isinstance(refused, RateLimited):
        if not refused:
            return {}
        return {
            "RateLimit-Policy": ", ".join(_policy(one.limit, one.amount, one.window_seconds) for one in refused),
            "RateLimit": ", ".join(f'"{one.limit}";r={one.remaining};t={math.ceil(one.retry_after)}' for one in refused),
        }
    fields: dict[str, str] = {}
    seconds = None if refused.retry_after is None else max(1, math.ceil(refused.retry_after))
    if refused.limit is not None and refused.amount is not None and refused.window_seconds is not None:
        fields["RateLimit-Policy"] = _policy(refused.limit, refused.amount, refused.window_seconds)
        if seconds is not None:
            fields["RateLimit"] = f'"{refused.limit}";r=0;t={seconds}'
    if seconds is not None:
        fields["Retry-After"] = str(seconds)
    return fields


def _policy(limit: str, amount: int, window_seconds: int) -> str:
    return f'"{limit}";q={amount};w={window_seconds}'  # a limit's name holds nothing that a quoted string must escape
