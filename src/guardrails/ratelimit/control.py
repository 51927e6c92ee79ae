"""
`RateLimit`: check on the way in, reserve at the door, spend once the intent is durable.

On the way in nothing is taken: a message that would be refused is refused before it costs a detection. At the door all
limits admit it together or none is touched; the reservation is given back when a later step fails; it is spent after the
audit record of the intent is durable and right before the send. Spent units stay spent, whatever becomes of the send: a
timeout does not prove that nobody received it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any, Final

from guardrails import address
from guardrails.errors import ConfigError, RateLimited
from guardrails.keys import Keys
from guardrails.ratelimit.limit import Limit, Per

if TYPE_CHECKING:
    from guardrails.core.call import Call
    from guardrails.core.control import Forward, Io, Outcome, Reply, Sealed
    from guardrails.ratelimit.ledger import Charge, Ledger, Refusal

MAX_KEYS: Final = 200_000
MEMORY: Final = "memory://"
_NEEDS: Final = ("recipient", "tenant", "conversation", "actor", "sender")  # what core checks before any control runs


class RateLimit:
    """
    Limits in the memory of this process, exact for every call of every guard that shares this object.

    Each process counts for itself: with four workers a recipient may get four times as many. A child made by fork starts
    with its parent's counters and goes its own way.

    Args:
        limits: `Limit`s, or rates such as `"5/minute"` that share *per*.
        per: What the rates count separately; see `Limit`.
        storage: `"memory://"`.
        keys: Key of the counters' keys; a random one of this process unless given.
        clock: Seconds, such as `time.monotonic`; for tests. Steps backwards are taken as standing still.
        name: How errors and records call this control.
        max_keys: Counters kept at once (about 0.5 KB each). Beyond it sends that need a new one are `Unavailable`; a counter
            that still counts is never dropped.

    Raises:
        ConfigError: A limit or an argument is wrong, or two limits have the same name.

    >>> RateLimit("5/minute", per="recipient")
    RateLimit(recipient/minute)
    """

    kind: Final = "limit"

    def __init__(
        self,
        *limits: Limit | str,
        per: Per = None,
        storage: str = MEMORY,
        keys: Keys | None = None,
        clock: Callable[[], float] | None = None,
        name: str = "rate_limit",
        max_keys: int = MAX_KEYS,
    ) -> None:
        self.limits: tuple[Limit, ...] = _read(limits, per)
        _check_storage(storage)
        if type(name) is not str or not name:
            raise ConfigError("RateLimit: name must be a non-empty str")
        if type(max_keys) is not int or max_keys < 1:
            raise ConfigError("RateLimit: max_keys must be an int of at least 1")
        if clock is not None and not callable(clock):
            raise ConfigError("RateLimit: clock must be a function that returns seconds, such as time.monotonic")
        # Only now: this loads `limits`, which costs more than all the rest of the front door.
        address.load()

        from guardrails.ratelimit.identity import Identity  # noqa: PLC0415
        from guardrails.ratelimit.ledger import Ledger, Rule  # noqa: PLC0415

        self.name = name
        self.needs: tuple[str, ...] = tuple(role for role in _NEEDS if any(role in limit.roles for limit in self.limits))
        self._ledger = Ledger(time.monotonic_ns if clock is None else _nanoseconds(clock), max_keys=max_keys)
        rules = [Rule(limit, self._ledger.storage) for limit in self.limits]
        self._identity = Identity(rules, (keys or Keys.ephemeral()).digester("ratelimit"))

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> Reply:  # noqa: ARG002 - asks nothing outside
        """Refuse early what would be refused at the door; register what is taken there."""
        charges = self._identity.charges(call.message, call.layer)
        ledger = self._ledger
        refusal, tightest, remaining = ledger.look(charges)
        if refusal is not None:
            call.note("deny", detail=_detail(refusal))
            raise _refused(refusal, len(call.message.recipients))
        detail: dict[str, str | int | bool | None] = {"limit": tightest.rule.limit.name, "remaining": remaining}
        if ledger.forked:  # the parent counts for itself from now on; said once, in the record
            ledger.forked = False
            detail["forked"] = True
        call.note("allow", detail=detail)
        if not call.dry_run:
            reserve = Reserve(ledger, charges)
            call.at_door(reserve)
            call.at_door(Spend(ledger, reserve))
        return await forward(call)

    def __repr__(self) -> str:
        return f"RateLimit({', '.join(limit.label for limit in self.limits)})"


class Reserve:
    """Door step: all limits of the message admit it together, or nothing is taken."""

    __slots__ = ("_charges", "hold", "store")

    phase: str = "reserve"

    def __init__(self, store: Ledger, charges: Sequence[Charge], /) -> None:
        self.hold: int | None = None
        self.store: Ledger = store
        self._charges = charges

    async def commit(self, sealed: Sealed, peers: Sequence[Any], io: Io, /) -> None:  # noqa: ARG002 - never waits
        """
        Reserve for this step and its peers.

        Raises:
            RateLimited: A limit does not admit it (any more).
            Unavailable: The table of counters is full.
        """
        wanted = [self._charges, *(peer._charges for peer in peers)] if peers else [self._charges]  # noqa: SLF001 - same class
        answer = self.store.reserve(wanted)
        if not isinstance(answer, list):
            raise _refused(answer, len(sealed.message.recipients))
        self.hold = answer[0]
        for peer, hold in zip(peers, answer[1:], strict=True) if peers else ():
            peer.hold = hold

    async def undo(self, io: Io, /) -> None:  # noqa: ARG002 - never waits
        """Give the reservation back, if there is one that was not spent."""
        self._give_back()

    def settle(self, outcome: Outcome, /) -> None:
        """What was spent stays spent, whatever became of the send."""

    def _give_back(self) -> None:
        hold, self.hold = self.hold, None
        if hold is not None:
            self.store.give_back(hold)

    def __del__(self) -> None:
        # A call that was dropped half-way (a task of a loop that stopped) must not keep its units for ever.
        if self.hold is not None:
            self._give_back()


class Spend:
    """Door step behind the intent's record: the reservation becomes used units."""

    __slots__ = ("_reserve", "store")

    phase: str = "intent"

    def __init__(self, store: Ledger, reserve: Reserve, /) -> None:
        self.store: Ledger = store
        self._reserve = reserve

    async def commit(self, sealed: Sealed, peers: Sequence[Any], io: Io, /) -> None:  # noqa: ARG002 - never waits
        """
        Spend for this step and its peers.

        Raises:
            Unavailable: The reservation is not there.
        """
        reserves = [self._reserve, *(peer._reserve for peer in peers)] if peers else [self._reserve]  # noqa: SLF001 - same class
        # An id that was never given stands for a reservation that was never made.
        self.store.spend([reserve.hold or 0 for reserve in reserves])
        for reserve in reserves:
            reserve.hold = None

    async def undo(self, io: Io, /) -> None:
        """
        Nothing: used units cannot be given back without opening the window twice.

        Only a step that fails after this one, or a death of the process, can lose them; core registers none behind it.
        """

    def settle(self, outcome: Outcome, /) -> None:
        """What was spent stays spent, whatever became of the send."""


def _read(limits: Sequence[object], per: Per) -> tuple[Limit, ...]:
    if not limits:
        raise ConfigError('RateLimit needs at least one limit: RateLimit("5/minute", per="recipient")')
    read = []
    for limit in limits:
        if isinstance(limit, Limit):
            read.append(limit)
        elif isinstance(limit, str):
            read.append(Limit(limit, per=per))
        else:
            raise ConfigError(
                f"RateLimit takes Limits and rates, each as an argument of its own, not {type(limit).__name__}"
            )
    if per is not None and all(isinstance(limit, Limit) for limit in limits):
        raise ConfigError("RateLimit(per=...) goes with rates; a Limit has a per= of its own")
    names = [limit.label for limit in read]
    twice = sorted({one for one in names if names.count(one) > 1})
    if twice:
        raise ConfigError(f"two limits are called {twice[0]!r} and would share counters; give one of them a name=")
    return tuple(read)


def _check_storage(storage: object) -> None:
    if not isinstance(storage, str):
        raise ConfigError(f'RateLimit: storage is a str such as "{MEMORY}"')
    if storage not in (MEMORY, "memory"):
        # Only the scheme is shown: the rest may hold a password.
        scheme = storage.partition(":")[0]
        shown = scheme[:32] if scheme.replace("+", "").isalnum() else "this"
        raise ConfigError(f'RateLimit: storage {shown!r} is not available in this version; available: "{MEMORY}"')


def _nanoseconds(clock: Callable[[], float]) -> Callable[[], int]:
    return lambda: round(clock() * 1_000_000_000)


def _refused(refusal: Refusal, recipients: int) -> RateLimited:
    limit = refusal.charge.rule.limit
    window = f"{limit.amount} in {limit.window_seconds} s"
    who = f", recipient {refusal.charge.position} of {recipients}" if refusal.charge.position and recipients > 1 else ""
    says = (
        f"{limit.label} can never fit ({window})" if refusal.retry_after is None else f"{limit.label} is used up ({window})"
    )
    return RateLimited(says + who, retry_after=refusal.retry_after, limit=limit.label, scope=limit.counted)


def _detail(refusal: Refusal) -> dict[str, str | int | bool | None]:
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
