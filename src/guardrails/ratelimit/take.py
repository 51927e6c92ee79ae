"""
The door step of limits in a shared store.

All limits of a message that live in one store, in every layer, are taken by one question. What was taken is given back by
its id when a later step refuses; leases when the send has ended; and what a failed send proves not to have used.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from guardrails.errors import ConfigError
from guardrails.ratelimit.charge import Charge, Refusal
from guardrails.ratelimit.cost import priced
from guardrails.ratelimit.promises import Owed, Taking
from guardrails.ratelimit.refused import detail_of, refused
from guardrails.ratelimit.shared import Shared, check_share
from guardrails.ratelimit.store import Admission, Store, counter_name, taking
from guardrails.ratelimit.waiting import Waiting
from guardrails.server.link import StoreDown

if TYPE_CHECKING:
    from guardrails.core.call import Call
    from guardrails.core.control import Io, Outcome, Sealed
    from guardrails.ratelimit.ledger import Ledger
    from guardrails.ratelimit.refund import Refunds

STEP_SECONDS: Final = 10.0  # for the store's answer and for a free connection before it
_LONGEST_PAUSE_SECONDS: Final = 5.0  # between two looks of one who waits; a place in the line must not die meanwhile


class Take:
    """
    Door step: all limits of one store admit the message together, or nothing is taken.

    Args:
        shared: The limits' store.
        charges: What the message takes.
        call: The message's call.
        is_priced: Whether what it takes depends on its text.
        patience: Seconds that it may wait for room.
        refunds: Errors that prove that nothing was sent.
    """

    __slots__ = (
        "_call", "_is_priced", "_own", "_patience", "_shared", "_taken", "_took", "charges", "deadline_seconds", "hold",
        "refunds", "store",
    )  # fmt: skip

    phase: str = "shared"

    def __init__(
        self,
        shared: Shared,
        charges: Sequence[Charge],
        call: Call,
        /,
        *,
        is_priced: bool = False,
        patience: float = 0.0,
        refunds: Refunds | None = None,
    ) -> None:
        self._is_priced = is_priced
        self._patience = patience
        self.refunds: Refunds | None = refunds
        self.deadline_seconds: float = STEP_SECONDS + patience
        self.store: Store = shared.store
        self.hold: int | None = None  # of our own share, while the store does not answer
        self._shared = shared
        self.charges: Sequence[Charge] = charges
        self._call = call
        self._taken: Taking | None = None  # to be given back if the message is not sent
        self._took: Taking | None = None  # it was taken, and the message is being sent
        self._own: list[tuple[int, Charge]] = []  # which of the taking's counters are this step's

    async def commit(self, sealed: Sealed, peers: Sequence[Any], io: Io, /) -> None:
        """
        Take for this step and its peers; wait for room where the limits that refuse allow it.

        Raises:
            RateLimited: A limit does not admit it.
            Unavailable: The store does not answer, and a limit protects people.
            ConfigError: Two limits of this message are one counter.
        """
        steps: list[Take] = [self, *peers]
        for step in steps:
            if step._is_priced:  # noqa: SLF001 - same class
                step.charges = priced(step.charges, sealed.message)
        wanted = self._taken = taking([step.charges for step in steps])
        _assign(wanted, steps)
        waiting = Waiting()
        answer = await self._answer(wanted, steps, waiting, io)
        if answer is None:
            check_share(wanted.charges)
            for step in steps:
                step._share(sealed)  # noqa: SLF001 - same class
            return
        if isinstance(answer, Refusal):
            if not waiting.seconds and not self._may_have_a_place(answer):
                self._taken = None  # nothing to give back
            for step in steps:
                step._shared.remember(answer)  # noqa: SLF001 - same class
            self._call.note("deny", detail=detail_of(answer, waiting.seconds))
            raise refused(answer, len(sealed.message.recipients))
        for step in steps:
            step._took = wanted  # noqa: SLF001 - same class
        leases = [charge for charge in wanted.charges if charge.rule.is_lease]
        if leases:
            self.store.hold(wanted.grant, leases)
        detail: dict[str, str | int | bool | None] = {
            "limit": answer.charge.rule.limit.label,
            "remaining": answer.remaining,
        }
        if waiting.seconds:
            detail["waited_ms"] = round(waiting.seconds * 1_000)
        self._call.note("allow", detail=detail)

    async def _answer(self, wanted: Taking, steps: Sequence[Take], waiting: Waiting, io: Io) -> Refusal | Admission | None:
        """What the store says in the end; None when it does not answer."""
        patience = min(step._patience for step in steps)  # noqa: SLF001 - same class
        store = self.store
        while True:
            left = max(0.0, patience - waiting.seconds)
            try:
                answer = await io.ask(
                    blocking=lambda left=left: store.take(  # type: ignore[misc]  # bound now
                        wanted, place_seconds=_LONGEST_PAUSE_SECONDS if left else 0.0, left_seconds=left
                    )
                )
            except StoreDown:
                return None
            if not isinstance(answer, Refusal) or not patience:
                return answer
            allowed = answer._replace(wait=min(patience, answer.wait))
            seconds = waiting.pause(allowed, io, longest=_LONGEST_PAUSE_SECONDS)
            if seconds is None:
                return answer
            waiting.seconds = waiting.seconds or seconds
            await io.sleep(seconds)

    def _may_have_a_place(self, answer: Refusal) -> bool:
        return self._patience > 0 and answer.retry_after is not None and answer.retry_after <= self._patience

    def _share(self, sealed: Sealed) -> None:
        answer = self._shared.ledger.reserve([self.charges])
        if not isinstance(answer, list):
            self._call.note("deny", detail={**detail_of(answer), "degraded": True})
            raise refused(answer, len(sealed.message.recipients))
        self.hold = answer[0]
        self._call.note("allow", detail={"degraded": True})

    async def undo(self, io: Io, /) -> None:
        """Give back what was taken, or may have been, and the place in the line."""
        self._give_back_share()
        taken, self._taken, self._took = self._taken, None, None
        if taken is None:
            return
        self.store.release(taken.grant)
        if self.store.is_down:  # later: nobody waits twice for a store that is not there
            self.store.owe(taken)
        else:
            await io.ask(blocking=lambda: self.store.give_back(taken))

    def settle(self, outcome: Outcome, /) -> None:
        """Leases end with the send. What was taken stays taken, unless the error proves that nothing was sent."""
        if any(charge.rule.is_lease for charge in self.charges):
            self._give_back_share()
        took = self._took
        if took is None:
            return
        refunded = self.refunds is not None and self.refunds.proves_unsent(outcome)
        back = [(place, charge.units) for place, charge in self._own if charge.rule.is_lease or refunded]
        if back:
            self._took = None
            self.store.release(took.grant)
            self.store.promise(Owed(took, back))

    def settle_up(self, total: Callable[[Charge], int | None]) -> None:
        """Correct what was charged to what the send turned out to cost; None leaves a charge as it is."""
        took = self._took
        if took is None:
            return
        back, more = [], []
        for place, charge in self._own:
            units = total(charge)
            if units is not None and units < charge.units:
                back.append((place, charge.units - units))
            elif units is not None and units > charge.units:
                more.append(charge._replace(units=units - charge.units))
        if back:
            self.store.promise(Owed(took, back))
        if more:
            self.store.promise(Owed(taking([more]), force=True))

    def _give_back_share(self) -> None:
        hold, self.hold = self.hold, None
        if hold is not None:
            self._shared.ledger.give_back(hold)

    def __del__(self) -> None:
        # A call that was dropped half-way must not keep its units and leases for ever.
        if self.hold is not None or (self._took is not None and any(charge.rule.is_lease for _, charge in self._own)):
            self._give_back_share()
            took, self._took = self._took, None
            if took is not None:
                self.store.release(took.grant)
                self.store.promise(Owed(took, [(place, one.units) for place, one in self._own if one.rule.is_lease]))


def _assign(wanted: Taking, steps: Sequence[Take]) -> None:
    """Tell each step which of the counters are its own."""
    if len(steps) == 1:
        steps[0]._own = list(enumerate(wanted.charges, 1))  # noqa: SLF001 - same module
        return
    places = {name: place for place, name in enumerate(wanted.names, 1)}
    taken: set[str] = set()
    for step in steps:
        names = dict.fromkeys(map(counter_name, step.charges))
        if not taken.isdisjoint(names):
            label = next(charge.rule.limit.label for charge in step.charges if counter_name(charge) in taken)
            raise ConfigError(
                f"two limits of one layer are called {label!r} and would share a counter of the store; give one a name="
            )
        taken.update(names)
        step._own = [(places[name], wanted.charges[places[name] - 1]) for name in names]  # noqa: SLF001 - same module


class SpendShare:
    """Door step behind the intent's record: what was reserved of our own share becomes used units."""

    __slots__ = ("_spent_at", "_take", "store")

    phase: str = "intent"

    def __init__(self, store: Ledger, take: Take, /) -> None:
        self.store: Ledger = store
        self._take = take
        self._spent_at: int | None = None

    async def commit(self, sealed: Sealed, peers: Sequence[Any], io: Io, /) -> None:  # noqa: ARG002 - never waits
        """Spend for this step and its peers."""
        for step in (self, *peers):
            take: Take = step._take  # noqa: SLF001 - same class
            if take.hold is not None:
                step._spent_at = self.store.spend([take.hold])  # noqa: SLF001 - same class
                take.hold = None

    async def undo(self, io: Io, /) -> None:  # noqa: ARG002 - never waits
        """Give back what was spent: a step behind this one failed, and nothing was sent."""
        self._give_back()

    def settle(self, outcome: Outcome, /) -> None:
        """What was spent stays spent, unless the error proves that nothing was sent."""
        if self._take.refunds is not None and self._take.refunds.proves_unsent(outcome):
            self._give_back()

    def _give_back(self) -> None:
        at, self._spent_at = self._spent_at, None
        if at is not None:
            for charge in self._take.charges:
                self.store.correct(charge, at, 0)


async def through_store(
    shared: Shared,
    charges: Sequence[Charge],
    call: Call,
    io: Io,
    is_priced: bool,  # noqa: FBT001 - on the hot path
    patience: float,
    refunds: Refunds | None,
) -> Take | None:
    """
    Look early if there is reason to, and register what is taken at the door.

    Returns:
        The door step; None for a preview.

    Raises:
        RateLimited: It would be refused.
        Unavailable: The store does not answer, and a limit protects people.
    """
    await shared.look(charges, call, io, patience=0.0 if call.dry_run else patience)
    if call.dry_run:
        return None
    take = Take(shared, charges, call, is_priced=is_priced, patience=patience, refunds=refunds)
    call.at_door(take)
    if not any(charge.rule.is_lease for charge in charges):
        call.at_door(SpendShare(shared.ledger, take))
    return take
