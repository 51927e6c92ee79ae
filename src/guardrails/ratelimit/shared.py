"""
Limits in a shared store on a message's way in, and what they do when the store is not there.

The store is asked once, at the door (see `take`). When it fails, limits that protect people refuse; those that protect a
provider go on with this process's share, and the record says so.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Final

from guardrails.errors import Unavailable
from guardrails.ratelimit.charge import Charge, Refusal
from guardrails.ratelimit.ledger import Ledger
from guardrails.ratelimit.refused import detail_of, refused
from guardrails.ratelimit.store import Store
from guardrails.server.link import StoreDown

if TYPE_CHECKING:
    from guardrails.core.call import Call
    from guardrails.core.control import Io

_REFUSED: Final = 4_096
DOWN: Final = "rate limit: the store of a limit that protects people does not answer; nothing was sent"


class Shared:
    """
    Limits in a store.

    Args:
        store: The store.
        ledger: This process's share, for while the store does not answer.
    """

    __slots__ = ("_refused", "ledger", "store")

    def __init__(self, store: Store, ledger: Ledger, /) -> None:
        self.store: Store = store
        self.ledger: Ledger = ledger
        self._refused: dict[str, float] = {}  # counters that refused just now, and until when they will

    async def look(self, charges: Sequence[Charge], call: Call, io: Io, *, patience: float) -> None:
        """
        Ask earlier than at the door: for a preview, or about counters that refused just now.

        So a message which will be refused costs no detection. One that may wait until there is room goes on to the door.

        Raises:
            RateLimited: It would be refused.
            Unavailable: The store does not answer, and a limit protects people.
        """
        if not call.dry_run and not self._refused_just_now(charges):
            return
        answer, degraded = await self._looked(charges, io)
        if isinstance(answer, Refusal):
            if answer.retry_after is not None and answer.retry_after <= min(patience, answer.wait):
                return
            call.note("deny", detail={**detail_of(answer), **degraded})
            raise refused(answer, len(call.message.recipients))
        if call.dry_run:
            charge, remaining = answer
            call.note("allow", detail={"limit": charge.rule.limit.label, "remaining": remaining, **degraded})

    def remember(self, refusal: Refusal) -> None:
        """A counter refused: ask earlier until it would admit again."""
        if len(self._refused) >= _REFUSED:
            self._refused.clear()
        if refusal.retry_after is not None:
            self._refused[refusal.charge.key] = time.monotonic() + refusal.retry_after

    def _refused_just_now(self, charges: Sequence[Charge]) -> bool:
        if not self._refused:
            return False
        now = time.monotonic()
        return any(self._refused.get(charge.key, 0.0) > now for charge in charges)

    async def _looked(
        self, charges: Sequence[Charge], io: Io
    ) -> tuple[Refusal | tuple[Charge, int], dict[str, str | int | bool | None]]:
        try:
            return await io.ask(blocking=lambda: self.store.look(charges)), {}
        except StoreDown:
            pass
        check_share(charges)
        refusal, tightest, remaining = self.ledger.look(charges)
        return (refusal or (tightest, remaining)), {"degraded": True}


def check_share(charges: Sequence[Charge]) -> None:
    """
    Whether this process may go on with its share.

    Raises:
        Unavailable: A limit protects people.
    """
    if any(charge.rule.limit.protects == "people" for charge in charges):
        raise Unavailable(DOWN)
