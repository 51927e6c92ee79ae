"""
The door step of limits in a shared store, and what it does when the store is not there.

All limits of a message that live in one store, in every layer, are taken by one question. What was taken is given back by
its id when a later step refuses. When the store fails, limits that protect people refuse; those that protect a provider go
on with this process's share, and the record says so.
"""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Final

from guardrails.errors import Unavailable
from guardrails.ratelimit.cost import priced
from guardrails.ratelimit.ledger import Charge, Ledger, Refusal
from guardrails.ratelimit.refused import detail_of, refused
from guardrails.ratelimit.store import Store, StoreDown, Taking, taking

if TYPE_CHECKING:
    from guardrails.core.call import Call
    from guardrails.core.control import Forward, Io, Outcome, Reply, Sealed

_REFUSED: Final = 4_096
STEP_SECONDS: Final = 10.0  # for the store's answer and for a free connection before it
_DOWN: Final = "rate limit: the store of a limit that protects people does not answer; nothing was sent"


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

    async def guard(self, charges: Sequence[Charge], call: Call, forward: Forward, io: Io, *, is_priced: bool) -> Reply:
        """
        One call on its way in.

        The store is asked once, at the door; here only for a preview, or about counters that refused just now, so that a
        message which will be refused costs no detection.
        """
        if call.dry_run or self._refused_just_now(charges):
            answer, degraded = await self._looked(charges, io)
            if isinstance(answer, Refusal):
                call.note("deny", detail={**detail_of(answer), **degraded})
                raise refused(answer, len(call.message.recipients))
            if call.dry_run:
                charge, remaining = answer
                call.note("allow", detail={"limit": charge.rule.limit.label, "remaining": remaining, **degraded})
        if not call.dry_run:
            step = Take(self, charges, call, is_priced=is_priced)
            call.at_door(step)
            call.at_door(SpendShare(self.ledger, step))
        return await forward(call)

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
        _check_share(charges)
        refusal, tightest, remaining = self.ledger.look(charges)
        return (refusal or (tightest, remaining)), {"degraded": True}


def _check_share(charges: Sequence[Charge]) -> None:
    if any(charge.rule.limit.protects == "people" for charge in charges):
        raise Unavailable(_DOWN)


class Take:
    """Door step: all limits of one store admit the message together, or nothing is taken."""

    __slots__ = ("_call", "_charges", "_is_priced", "_shared", "_taken", "hold", "store")

    phase: str = "shared"
    deadline_seconds: float = STEP_SECONDS

    def __init__(self, shared: Shared, charges: Sequence[Charge], call: Call, /, *, is_priced: bool) -> None:
        self._is_priced = is_priced
        self.store: Store = shared.store
        self.hold: int | None = None  # of our own share, while the store does not answer
        self._shared = shared
        self._charges = charges
        self._call = call
        self._taken: Taking | None = None

    async def commit(self, sealed: Sealed, peers: Sequence[Any], io: Io, /) -> None:
        """
        Take for this step and its peers.

        Raises:
            RateLimited: A limit does not admit it.
            Unavailable: The store does not answer, and a limit protects people.
        """
        steps: list[Take] = [self, *peers]
        for step in steps:
            if step._is_priced:  # noqa: SLF001 - same class
                step._charges = priced(step._charges, sealed.message)  # noqa: SLF001 - same class
        wanted = self._taken = taking([step._charges for step in steps])  # noqa: SLF001 - same class
        try:
            answer = await io.ask(blocking=lambda: self.store.take(wanted))
        except StoreDown:
            answer = None
        if answer is None:
            _check_share(wanted.charges)
            for step in steps:
                step._share(sealed)  # noqa: SLF001 - same class
            return
        if isinstance(answer, Refusal):
            self._taken = None
            for step in steps:
                step._shared.remember(answer)  # noqa: SLF001 - same class
            self._call.note("deny", detail=detail_of(answer))
            raise refused(answer, len(sealed.message.recipients))
        self._call.note("allow", detail={"limit": answer.charge.rule.limit.label, "remaining": answer.remaining})

    def _share(self, sealed: Sealed) -> None:
        answer = self._shared.ledger.reserve([self._charges])
        if not isinstance(answer, list):
            self._call.note("deny", detail={**detail_of(answer), "degraded": True})
            raise refused(answer, len(sealed.message.recipients))
        self.hold = answer[0]
        self._call.note("allow", detail={"degraded": True})

    async def undo(self, io: Io, /) -> None:
        """Give back what was taken, or may have been."""
        hold, self.hold = self.hold, None
        if hold is not None:
            self._shared.ledger.give_back(hold)
        taken, self._taken = self._taken, None
        if taken is None:
            return
        if self.store.breaker.is_open:  # later: nobody waits twice for a store that is not there
            self.store.owe(taken)
        else:
            await io.ask(blocking=lambda: self.store.give_back(taken))

    def settle(self, outcome: Outcome, /) -> None:
        """What was taken stays taken, whatever became of the send."""


class SpendShare:
    """Door step behind the intent's record: what was reserved of our own share becomes used units."""

    __slots__ = ("_take", "store")

    phase: str = "intent"

    def __init__(self, store: Ledger, take: Take, /) -> None:
        self.store: Ledger = store
        self._take = take

    async def commit(self, sealed: Sealed, peers: Sequence[Any], io: Io, /) -> None:  # noqa: ARG002 - never waits
        """Spend for this step and its peers."""
        for step in (self, *peers):
            take: Take = step._take  # noqa: SLF001 - same class
            if take.hold is not None:
                self.store.spend([take.hold])
                take.hold = None

    async def undo(self, io: Io, /) -> None:
        """Nothing: see `Spend` of limits in memory."""

    def settle(self, outcome: Outcome, /) -> None:
        """What was spent stays spent."""
