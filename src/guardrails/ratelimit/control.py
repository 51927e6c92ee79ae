"""
`RateLimit`: check on the way in, reserve at the door, spend once the intent is durable.

On the way in nothing is taken: a message that would be refused is refused before it costs a detection. At the door all
limits admit it together or none is touched; the reservation is given back when a later step fails; it is spent after the
audit record of the intent is durable and right before the send. Spent units stay spent, whatever becomes of the send: a
timeout does not prove that nobody received it.
"""

from __future__ import annotations

import copy
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from guardrails.core.control import DEADLINE_SECONDS
from guardrails.core.stream import Stream
from guardrails.core.trial import Trial
from guardrails.errors import ConfigError
from guardrails.keys import Keys
from guardrails.ratelimit.charge import Charge, Refusal
from guardrails.ratelimit.cost import Heard, priced, roughly, settled
from guardrails.ratelimit.counters import MEMORY, Counters, Setup, counters_for, replayed, wait_of, with_limits
from guardrails.ratelimit.limit import Limit, Per
from guardrails.ratelimit.memory import Reserve, Spend
from guardrails.ratelimit.refund import Refunds
from guardrails.ratelimit.refused import detail_of, refused
from guardrails.ratelimit.use import Use

if TYPE_CHECKING:
    from guardrails.core.call import Call
    from guardrails.core.control import Forward, Io, Reply
    from guardrails.core.message import Message
    from guardrails.ratelimit.replay import Replay

MAX_KEYS: Final = 200_000


class RateLimit:
    """
    Limits, exact for every call of every guard that shares this object; with a shared storage, for every process.

    In memory each process counts for itself: with four workers a recipient may get four times as many. A child made by fork
    starts with its parent's counters and goes its own way.

    Args:
        limits: `Limit`s, or rates such as `"5/minute"` that share *per*.
        per: What the rates count separately; see `Limit`.
        storage: `"memory://"`, or a Redis or Valkey server that all processes share: `"redis://localhost:6379/0"`,
            `"rediss://..."` (TLS), `"redis+unix:///path/to.sock"`, or the same with `valkey`. Needs the extra `redis`.
        keys: Key of the counters' keys. In memory a random one of this process unless given; with a shared storage
            `Keys.default()`, and one that somebody chose.
        clock: Seconds, such as `time.monotonic`; for tests. Steps backwards are taken as standing still.
        name: How errors and records call this control.
        max_keys: Counters kept at once (about 0.5 KB each). Beyond it sends that need a new one are `Unavailable`; a counter
            that still counts is never dropped.
        timeout_seconds: How long one question to a shared storage may take, at most 1.5.
        max_connections: Connections to it at once.
        plaintext_hosts: Hosts other than loopback that may be asked without TLS.
        replicas: How many processes share the storage; needed by limits that protect a provider, for their local share.
        on_limit: "deny" refuses at once what is over a limit; "wait" lets it wait for room, for `wait` seconds at most.
        wait: Seconds, at most an hour; for all limits that say nothing else. Nobody is overtaken, a wait can be cancelled, and
            what would have to wait longer is refused at once.
        refund_on: Errors of the send that prove that nothing was sent: its charge is given back, while its window lasts.

    Raises:
        ConfigError: A limit or an argument is wrong, two limits have the same name, or a shared storage has no encryption,
            no key that somebody chose, or no client installed.

    >>> RateLimit("5/minute", per="recipient")
    RateLimit(recipient/minute)
    """

    kind: Final = "limit"
    refuses_rehearsal: Final = Trial()

    def __init__(
        self,
        *limits: Limit | str,
        per: Per = None,
        storage: str = MEMORY,
        keys: Keys | None = None,
        clock: Callable[[], float] | None = None,
        name: str = "rate_limit",
        max_keys: int = MAX_KEYS,
        timeout_seconds: float = 1.0,
        max_connections: int = 8,
        plaintext_hosts: Collection[str] = (),
        replicas: int | None = None,
        on_limit: str | None = None,
        wait: float | None = None,
        refund_on: Collection[type[BaseException]] = (),
    ) -> None:
        self.limits: tuple[Limit, ...] = _read(limits, per)
        self._setup = Setup(
            "RateLimit", storage, keys, clock, max_keys, timeout_seconds, max_connections, plaintext_hosts, replicas
        )
        self._wait = wait_of("RateLimit", on_limit, wait)
        self.name = name
        self._refunds = Refunds(refund_on)
        self._count_on(counters_for(self.limits, self._setup, wait=self._wait, name=name))

    def _count_on(self, counters: Counters) -> None:
        self._counts_replies = any(limit.cost == "tokens" for limit in self.limits)
        self.needs: tuple[str, ...] = counters.needs
        # Waiting is part of the control's own time.
        self.deadline_seconds: float = DEADLINE_SECONDS + counters.patience
        self._patience = counters.patience
        self._ledger = counters.ledger
        self._identity = counters.identity
        self._shared = counters.shared
        self._through_store = counters.through_store
        self._counters = counters

    def with_limits(self, *limits: Limit, refund_on: Collection[type[BaseException]] = ()) -> RateLimit:
        """
        Other limits over the same counters, store and key: what has been counted under a limit's name stays counted.

        Args:
            limits: The limits.
            refund_on: As of `RateLimit`.

        Raises:
            ConfigError: Two limits have the same name, or one does not go with the storage; or as of *refund_on*.
        """
        twin = copy.copy(self)
        twin._refunds = Refunds(refund_on)  # noqa: SLF001 - same class
        twin.limits = _read(limits, None)
        twin._count_on(with_limits(self._counters, twin.limits, self._setup, wait=self._wait))  # noqa: SLF001 - same class
        return twin

    def replayed(self, replay: Replay, /) -> RateLimit:
        """The same limits in a replay: nothing waits."""
        twin = copy.copy(self)
        twin.limits = tuple(replace(limit, wait=None) for limit in self.limits)
        twin._count_on(replayed(self._counters, twin.limits, self._setup, replay))  # noqa: SLF001 - same class
        return twin

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> Reply:
        """Refuse early what would be refused at the door; register what is taken there."""
        if call.repeat:  # the host's own retry of a message that was charged
            call.note("allow", detail={"repeat": True})
            return await forward(call)
        charges: Sequence[Charge]
        if call.canary is None:
            charges, is_priced = self._identity.charges(call.message, call.layer), self._identity.is_priced
        else:  # counted by itself, one a minute: the second of a name is refused
            charges, is_priced = self._identity.rehearsed(call.message, call.layer, call.canary), False
        if is_priced and call.dry_run:
            charges = priced(charges, call.message)
        if self._shared is not None:
            patience = 0.0 if self._patience and call.monitored else self._patience
            step = await self._through_store(self._shared, charges, call, io, is_priced, patience, self._refunds)
            if step is None or not self._counts_replies:
                return await forward(call)
            return settle_up(await forward(call), step.settle_up)
        ledger = self._ledger
        refusal, tightest, remaining = ledger.look(charges)
        if refusal is not None:
            if refusal.wait and not call.dry_run and not call.monitored:
                return await self._patiently(charges, refusal, call, forward, io)
            if is_priced:
                refusal = _foretold(refusal, ledger.look(roughly(charges, call.message))[0])
            call.note("deny", detail=detail_of(refusal))
            raise refused(refusal, len(call.message.recipients))
        detail: dict[str, str | int | bool | None] = {"limit": tightest.rule.limit.name, "remaining": remaining}
        if ledger.forked:  # the parent counts for itself from now on; said once, in the record
            ledger.forked = False
            detail["forked"] = True
        call.note("allow", detail=detail)
        if call.dry_run:
            return await forward(call)
        reserve = Reserve(ledger, charges, is_priced, 0.0 if self._patience and call.monitored else self._patience)
        return await self._through(reserve, call, forward)

    async def _patiently(self, charges: Sequence[Charge], refusal: Refusal, call: Call, forward: Forward, io: Io) -> Reply:
        """A limit is used up, and the message may wait. It keeps its place until it has its units, or gives up."""
        reserve = Reserve(self._ledger, charges, self._identity.is_priced, self._patience)
        try:
            await reserve.await_room(refusal, call, io)
            return await self._through(reserve, call, forward)
        finally:
            reserve.leave()

    async def _through(self, reserve: Reserve, call: Call, forward: Forward) -> Reply:
        spend = Spend(self._ledger, reserve, self._refunds)
        call.at_door(reserve)
        call.at_door(spend)
        if not self._counts_replies:
            return await forward(call)
        return settle_up(await forward(call), spend.settle_up)

    def usage(self, message: Message, *, layer: str = "platform") -> list[Use]:
        """
        What is used of each counter of *message*; limits that count by a role that it lacks are left out.

        Args:
            message: Whose counters; its text does not matter.
            layer: Of the guard: "platform" or "team".

        Raises:
            Unavailable: A shared storage does not answer.
        """
        return self._counters.usage(message, layer)

    def reset(self, message: Message, *, layer: str = "platform", limit: str | None = None) -> int:
        """
        Forget what is used of the counters of *message*, of one limit or of all.

        Returns:
            How many counters there were.

        Raises:
            Unavailable: A shared storage does not answer.
        """
        return self._counters.forget(message, layer, limit)

    @property
    def per_process(self) -> bool:
        """Whether each process counts for itself."""
        return self._shared is None

    @property
    def uses_network(self) -> bool:
        """Whether it asks a server."""
        return self._shared is not None

    def health(self) -> dict[str, str | int | bool | None]:
        """How it is doing: how many counters it keeps in memory, and under "problem" what is wrong with its storage."""
        return self._counters.health()

    def close(self) -> None:
        """Close idle connections of a shared storage; a later send opens new ones."""
        self._counters.close()

    def __repr__(self) -> str:
        return f"RateLimit({', '.join(limit.label for limit in self.limits)})"


def _foretold(refusal: Refusal, guess: Refusal | None) -> Refusal:
    """The refusal that has to wait longer, unless a guess says never: masking may make a text shorter."""
    if guess is None or guess.retry_after is None or refusal.retry_after is None:
        return refusal
    return guess if guess.retry_after > refusal.retry_after else refusal


def settle_up(reply: Reply, correct: Callable[[Callable[[Charge], int | None]], None]) -> Reply:
    """Charge what an answer added to the tokens of a message: now, or when its stream has ended."""
    if not isinstance(reply, Stream):
        correct(settled(reply))
        return reply
    heard = Heard()
    reply.add_filter(heard)
    reply.on_close(lambda _: correct(settled(heard.text)))
    return reply


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
