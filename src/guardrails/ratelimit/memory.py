"""The door steps of limits in memory: reserve, spend once the intent is durable, correct when the send has ended."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, TypeVar

from guardrails.ratelimit.charge import Refusal
from guardrails.ratelimit.cost import priced
from guardrails.ratelimit.refund import Refunds
from guardrails.ratelimit.refused import detail_of, refused
from guardrails.ratelimit.waiting import Waiting

if TYPE_CHECKING:
    from guardrails.core.call import Call
    from guardrails.core.control import Io, Outcome, Sealed
    from guardrails.ratelimit.charge import Charge
    from guardrails.ratelimit.ledger import Ledger

T = TypeVar("T")


class Reserve:
    """
    Door step: all limits of the message admit it together, or nothing is taken.

    Args:
        store: The counters.
        charges: What the message takes.
        is_priced: Whether that depends on its text.
        patience: Seconds that it may wait for room, 0 for not at all.
    """

    __slots__ = ("_is_priced", "_waiting", "charges", "deadline_seconds", "hold", "place", "store")

    phase: str = "reserve"

    def __init__(
        self,
        store: Ledger,
        charges: Sequence[Charge],
        is_priced: bool = False,  # noqa: FBT001, FBT002 - hot
        patience: float = 0.0,
        /,
    ) -> None:
        self._is_priced = is_priced
        self.hold: int | None = None
        self.place: int = 0  # in the line; 0 for none
        self.store: Ledger = store
        self.charges: Sequence[Charge] = charges
        if patience:
            self._waiting = Waiting()
            self.deadline_seconds: float = STEP_SECONDS + patience

    async def commit(self, sealed: Sealed, peers: Sequence[Any], io: Io, /) -> None:
        """
        Reserve for this step and its peers; wait for room where the limits that refuse allow it.

        Raises:
            RateLimited: A limit does not admit it (any more).
            Unavailable: The table of counters is full, or too many wait.
        """
        if self._is_priced:
            self.charges = priced(self.charges, sealed.message)
        for peer in peers:
            peer.leave()
            if peer._is_priced:  # noqa: SLF001 - same class
                peer.charges = priced(peer.charges, sealed.message)
        wanted = [self.charges, *(peer.charges for peer in peers)] if peers else [self.charges]
        answer: Refusal | list[int] = self.store.reserve(wanted, self.place)
        if isinstance(answer, Refusal) and answer.wait and hasattr(self, "_waiting"):
            charges = [charge for each in wanted for charge in each]
            answer = await self.until_room(answer, charges, lambda: self.store.reserve(wanted, self.place), io)
        if isinstance(answer, Refusal):
            raise refused(answer, len(sealed.message.recipients))
        self.place = 0
        self.hold = answer[0]
        for peer, hold in zip(peers, answer[1:], strict=True) if peers else ():
            peer.hold = hold

    async def until_room(
        self, refusal: Refusal, charges: Sequence[Charge], look: Callable[[], Refusal | T], io: Io
    ) -> Refusal | T:
        """
        Stand in line, and look again and again, for as long as there is use in it.

        Returns:
            What *look* answered last.
        """
        answer: Refusal | T = refusal
        while isinstance(answer, Refusal):
            seconds = self._waiting.pause(answer, io)
            if seconds is None:
                return answer
            if not self.place:
                self.place = self.store.stand(charges)
            await io.sleep(seconds)
            answer = look()
        return answer

    async def await_room(self, refusal: Refusal, call: Call, io: Io) -> None:
        """
        On the way in: wait until there is room, or say no.

        Raises:
            RateLimited: There is no use in waiting on.
        """
        ledger, charges = self.store, self.charges

        def look() -> Refusal | tuple[Charge, int]:
            refused_by, tightest, left = ledger.look(charges, self.place)
            return refused_by or (tightest, left)

        answer = await self.until_room(refusal, charges, look, io)
        if isinstance(answer, Refusal):
            call.note("deny", detail=detail_of(answer, self.waited_seconds))
            raise refused(answer, len(call.message.recipients))
        charge, remaining = answer
        waited = round(self.waited_seconds * 1_000)
        call.note("allow", detail={"limit": charge.rule.limit.label, "remaining": remaining, "waited_ms": waited})

    @property
    def waited_seconds(self) -> float:
        """How long this message has waited."""
        return self._waiting.seconds

    def leave(self) -> None:
        """Out of the line, if it stands there."""
        place, self.place = self.place, 0
        if place:
            self.store.give_back(place)

    async def undo(self, io: Io, /) -> None:  # noqa: ARG002 - never waits
        """Give the reservation back, if there is one that was not spent."""
        self._give_back()

    def settle(self, outcome: Outcome, /) -> None:  # noqa: ARG002 - however it ended
        """A lease ends with its send; of a limit nothing is left here once it was spent."""
        if self.hold is not None:
            self._give_back()

    def _give_back(self) -> None:
        self.leave()
        hold, self.hold = self.hold, None
        if hold is not None:
            self.store.give_back(hold)

    def __del__(self) -> None:
        # A call that was dropped half-way (a task of a loop that stopped) must not keep its units for ever.
        if self.hold is not None or self.place:
            self._give_back()


STEP_SECONDS = 5.0  # besides the wait


class Spend:
    """Door step behind the intent's record: the reservation becomes used units."""

    __slots__ = ("_refunds", "_reserve", "_spent_at", "store")

    phase: str = "intent"

    def __init__(self, store: Ledger, reserve: Reserve, refunds: Refunds | None = None, /) -> None:
        self.store: Ledger = store
        self._reserve = reserve
        self._refunds = refunds
        self._spent_at: int | None = None

    async def commit(self, sealed: Sealed, peers: Sequence[Any], io: Io, /) -> None:  # noqa: ARG002 - never waits
        """
        Spend for this step and its peers.

        Raises:
            Unavailable: The reservation is not there.
        """
        steps = [self, *peers] if peers else [self]
        # An id that was never given stands for a reservation that was never made.
        at = self.store.spend([step._reserve.hold or 0 for step in steps])  # noqa: SLF001 - same class
        for step in steps:
            step._spent_at = at  # noqa: SLF001 - same class
            step._reserve.hold = None  # noqa: SLF001 - same class

    async def undo(self, io: Io, /) -> None:  # noqa: ARG002 - never waits
        """Give back what was spent: a step behind this one failed, and nothing was sent."""
        self._give_back()

    def settle(self, outcome: Outcome, /) -> None:
        """What was spent stays spent, unless the error proves that nothing was sent."""
        if self._refunds and self._refunds.proves_unsent(outcome):
            self._give_back()

    def settle_up(self, total: Callable[[Charge], int | None]) -> None:
        """Correct what was charged to what the send turned out to cost; None leaves a charge as it is."""
        at = self._spent_at
        if at is None:
            return
        for charge in self._reserve.charges:
            units = total(charge)
            if units is not None and units != charge.units:
                self.store.correct(charge, at, units)

    def _give_back(self) -> None:
        at, self._spent_at = self._spent_at, None
        if at is not None:
            for charge in self._reserve.charges:
                self.store.correct(charge, at, 0)
