"""
`Concurrency`: how many sends may run at once.

A send that goes through the door gets a lease, and gives it back when it has ended: returned, failed, cancelled, its stream
read or closed. In memory a lease lasts as long as its send. In a shared storage it has an owner and an end: a process renews
the leases of its running sends, and those of a process that died are over after `lease_seconds`.
"""

from __future__ import annotations

import copy
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final

from guardrails.core.control import DEADLINE_SECONDS
from guardrails.core.trial import Trial
from guardrails.errors import ConfigError
from guardrails.keys import Keys
from guardrails.ratelimit.charge import Charge, Refusal
from guardrails.ratelimit.counters import MEMORY, Counters, Setup, counters_for, replayed, wait_of, with_limits
from guardrails.ratelimit.limit import MAX_AMOUNT, Limit, Per
from guardrails.ratelimit.memory import Reserve
from guardrails.ratelimit.refused import detail_of, refused
from guardrails.ratelimit.use import Use

if TYPE_CHECKING:
    from guardrails.core.call import Call
    from guardrails.core.control import Forward, Io, Reply
    from guardrails.core.message import Message
    from guardrails.ratelimit.replay import Replay

MAX_LEASE_SECONDS: Final = 86_400
MAX_KEYS: Final = 200_000


class Concurrency:
    """
    At most *amount* sends at once, of each tenant, recipient, channel, or whatever *per* names.

    Args:
        amount: Sends at once.
        per: What is counted separately; see `Limit`. Without it there is one count.
        lease_seconds: Whole seconds after which a lease in a shared storage is over when its process says nothing more.
            A process renews three times in that time, however long its sends run.
        scope: "tenant" counts recipients, conversations and actors of each tenant separately; "global" across tenants.
        protects: "people": nothing is sent while a shared storage does not answer. "provider": each process goes on with its
            share, the amount divided by `replicas`.
        storage: As of `RateLimit`. With the same storage, leases and limits of a message are taken in one round trip.
        on_limit: "deny", or "wait"; see `RateLimit`.
        wait: Seconds that a send may wait for another one to end; see `RateLimit`.
        name: How errors and records call this control; it is part of the count's identity.

    The other arguments are those of `RateLimit`.

    Raises:
        ConfigError: An argument is wrong; see `RateLimit`.

    >>> Concurrency(20, per="tenant")
    Concurrency(20, per=tenant)
    """

    kind: Final = "limit"
    refuses_rehearsal: Final = Trial(overlapping=True)

    def __init__(
        self,
        amount: int,
        *,
        per: Per = None,
        lease_seconds: int = 60,
        scope: str = "tenant",
        protects: str = "people",
        storage: str = MEMORY,
        keys: Keys | None = None,
        name: str = "concurrency",
        max_keys: int = MAX_KEYS,
        timeout_seconds: float = 1.0,
        max_connections: int = 8,
        plaintext_hosts: Collection[str] = (),
        replicas: int | None = None,
        on_limit: str | None = None,
        wait: float | None = None,
    ) -> None:
        limit = lease_of(amount, per=per, lease_seconds=lease_seconds, scope=scope, protects=protects, name=name)
        self._setup = Setup(
            "Concurrency", storage, keys, None, max_keys, timeout_seconds, max_connections, plaintext_hosts, replicas
        )
        seconds = wait_of("Concurrency", on_limit, wait)
        self._count_on(counters_for((limit,), self._setup, wait=seconds, name=name, lease=True), limit, name)

    def _count_on(self, counters: Counters, limit: Limit, name: str) -> None:
        self.limit: Limit = limit
        self.name: str = name
        self.needs: tuple[str, ...] = counters.needs
        self.deadline_seconds: float = DEADLINE_SECONDS + counters.patience
        self._patience = counters.patience
        self._ledger = counters.ledger
        self._identity = counters.identity
        self._shared = counters.shared
        self._through_store = counters.through_store
        self._counters = counters

    def with_lease(self, limit: Limit, *, name: str, wait: float | None = None) -> Concurrency:
        """
        Another amount over the same store and key: leases that were taken under the limit's name stay taken.

        Args:
            limit: From `lease_of`.
            name: How errors and records call it.
            wait: As of `Concurrency`.

        Raises:
            ConfigError: The limit does not go with the storage, or *wait* is no time.
        """
        twin = copy.copy(self)
        seconds = wait_of("Concurrency", None, wait)
        twin._count_on(with_limits(self._counters, (limit,), self._setup, wait=seconds, lease=True), limit, name)  # noqa: SLF001
        return twin

    def replayed(self, replay: Replay, /) -> Concurrency:
        """The same in a replay: nothing waits."""
        twin = copy.copy(self)
        twin._count_on(replayed(self._counters, (self.limit,), self._setup, replay, lease=True), self.limit, self.name)  # noqa: SLF001
        return twin

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> Reply:
        """Refuse early what would be refused at the door; take a lease there."""
        charges: Sequence[Charge]
        if call.canary is None:
            charges = self._identity.charges(call.message, call.layer)
        else:  # counted by itself
            charges = self._identity.rehearsed(call.message, call.layer, call.canary)
        patience = 0.0 if self._patience and call.monitored else self._patience
        if self._shared is not None:
            await self._through_store(self._shared, charges, call, io, False, patience, None)  # noqa: FBT003 - hot
            return await forward(call)
        refusal, tightest, remaining = self._ledger.look(charges)
        if refusal is not None and (call.dry_run or not patience):
            call.note("deny", detail=detail_of(refusal))
            raise refused(refusal, len(call.message.recipients))
        if call.dry_run:
            call.note("allow", detail={"limit": tightest.rule.limit.label, "remaining": remaining})
            return await forward(call)
        reserve = Reserve(self._ledger, charges, False, patience)  # noqa: FBT003 - hot
        if refusal is None:
            call.note("allow", detail={"limit": tightest.rule.limit.label, "remaining": remaining})
            call.at_door(reserve)
            return await forward(call)
        return await self._patiently(reserve, refusal, call, forward, io)

    @staticmethod
    async def _patiently(reserve: Reserve, refusal: Refusal, call: Call, forward: Forward, io: Io) -> Reply:
        """As many run as may, and the message waits for one of them to end."""
        try:
            await reserve.await_room(refusal, call, io)
            call.at_door(reserve)
            return await forward(call)
        finally:
            reserve.leave()

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
        """How it is doing; under "problem" what is wrong with its storage."""
        return self._counters.health()

    def close(self) -> None:
        """Close idle connections of a shared storage; a later send opens new ones."""
        self._counters.close()

    def __repr__(self) -> str:
        return f"Concurrency({self.limit.amount}, per={self.limit.counted})"


def lease_of(
    amount: int, *, per: Per, lease_seconds: int = 60, scope: str = "tenant", protects: str = "people", name: str
) -> Limit:
    """
    Sends at once, as a limit whose units come back; see `Concurrency`.

    Raises:
        ConfigError: An argument is wrong.
    """
    if type(amount) is not int or not 1 <= amount <= MAX_AMOUNT:
        raise ConfigError(f"Concurrency: amount is a number of sends, 1 to {MAX_AMOUNT}")
    if type(lease_seconds) is not int or not 1 <= lease_seconds <= MAX_LEASE_SECONDS:
        raise ConfigError(f"Concurrency: lease_seconds is whole seconds, 1 to {MAX_LEASE_SECONDS}")
    rate = f"{amount} per {lease_seconds} seconds"
    return Limit(rate, per=per, name=name, scope=scope, protects=protects, strategy="fixed-window")
