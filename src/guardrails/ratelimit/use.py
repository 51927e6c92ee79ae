"""How much of its limits somebody has used, for people who look and for headers; looked up by digest, and nothing is taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from guardrails.errors import Unavailable

if TYPE_CHECKING:
    from guardrails.core.message import Message
    from guardrails.ratelimit.charge import Charge
    from guardrails.ratelimit.identity import Identity
    from guardrails.ratelimit.ledger import Ledger
    from guardrails.ratelimit.shared import Shared


@dataclass(frozen=True, slots=True)
class Use:
    """
    One counter.

    Args:
        limit: The limit's name.
        scope: What it counts.
        used: Units that count now; more than *amount* where an answer cost more than was foreseen.
        amount: Units that fit.
        window_seconds: Length of the window; of a lease, for leases.
        strategy: Of the limit; "lease" for sends that run.
        retry_after: Seconds until one more unit fits; 0 for now.
        position: Of the recipient among those of the message, from 1; 0 when it is not a recipient's.
    """

    limit: str
    scope: str
    used: int
    amount: int
    window_seconds: int
    strategy: str
    retry_after: float
    position: int

    @property
    def remaining(self) -> int:
        """Units that are left."""
        return max(0, self.amount - self.used)


def uses(charges: Sequence[Charge], ledger: Ledger, shared: Shared | None) -> list[Use]:
    """
    What is used of each of *charges*' counters.

    Raises:
        Unavailable: A shared storage does not answer.
    """
    found = ledger.used(charges) if shared is None else _of_store(charges, shared)
    return [
        Use(
            limit=charge.rule.limit.label,
            scope=charge.rule.limit.counted,
            used=used,
            amount=charge.rule.limit.amount,
            window_seconds=charge.rule.seconds,
            strategy="lease" if charge.rule.is_lease else charge.rule.limit.strategy,
            retry_after=retry_after or 0.0,
            position=charge.position,
        )
        for charge, (used, retry_after) in zip(charges, found, strict=True)
    ]


def forget(charges: Sequence[Charge], ledger: Ledger, shared: Shared | None) -> int:
    """
    Forget the counters of *charges*.

    Returns:
        How many there were.

    Raises:
        Unavailable: A shared storage does not answer.
    """
    if not charges:
        return 0
    if shared is None:
        return ledger.forget_counters(charges)
    from guardrails.server.link import StoreDown  # noqa: PLC0415 - needs the extra

    try:
        return shared.store.clear(charges)
    except StoreDown:
        pass
    raise Unavailable("rate limit: the store does not answer; nothing was reset")


def known_charges(identity: Identity, message: Message, layer: str) -> list[Charge]:
    """The charges of those limits whose roles *message* has, one for each counter."""
    named = {charge.key: charge for charge in identity.known(message, layer)}
    return list(named.values())


def _of_store(charges: Sequence[Charge], shared: Shared) -> list[tuple[int, float | None]]:
    if not charges:
        return []
    from guardrails.server.link import StoreDown  # noqa: PLC0415 - needs the extra

    try:
        return shared.store.used(charges)
    except StoreDown:
        pass
    raise Unavailable("rate limit: the store does not answer")
