"""
`RateLimit`: check on the way in, reserve at the door, spend once the intent is durable.

On the way in nothing is taken: a message that would be refused is refused before it costs a detection. At the door all
limits admit it together or none is touched; the reservation is given back when a later step fails; it is spent after the
audit record of the intent is durable and right before the send. Spent units stay spent, whatever becomes of the send: a
timeout does not prove that nobody received it.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Collection, Sequence
from typing import TYPE_CHECKING, Final

from guardrails import address
from guardrails.core.control import DEADLINE_SECONDS
from guardrails.core.stream import Stream
from guardrails.errors import ConfigError
from guardrails.keys import Digester, Keys
from guardrails.ratelimit.charge import Charge, Refusal, Rule
from guardrails.ratelimit.cost import Heard, priced, settled
from guardrails.ratelimit.limit import MAX_WAIT_SECONDS, Limit, Per, is_wait
from guardrails.ratelimit.memory import Reserve, Spend
from guardrails.ratelimit.refund import Refunds
from guardrails.ratelimit.refused import detail_of, refused

if TYPE_CHECKING:
    from guardrails.core.call import Call
    from guardrails.core.control import Forward, Io, Reply
    from guardrails.ratelimit.shared import Shared
    from guardrails.ratelimit.take import SpendShare, Take

MAX_KEYS: Final = 200_000
MEMORY: Final = "memory://"
MAX_TIMEOUT_SECONDS: Final = 1.5  # so that a send is refused within 2 s of a store that hangs
_NEEDS: Final = ("recipient", "tenant", "conversation", "actor", "sender")  # what core checks before any control runs


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
    refuses_rehearsal: Final = 2

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
        wait = _wait(on_limit, wait)
        if not isinstance(storage, str):
            raise ConfigError(f'RateLimit: storage is a str such as "{MEMORY}"')
        if replicas is not None and (type(replicas) is not int or replicas < 1):
            raise ConfigError("RateLimit: replicas must be an int of at least 1")
        if type(name) is not str or not name:
            raise ConfigError("RateLimit: name must be a non-empty str")
        if type(max_keys) is not int or max_keys < 1:
            raise ConfigError("RateLimit: max_keys must be an int of at least 1")
        if clock is not None and not callable(clock):
            raise ConfigError("RateLimit: clock must be a function that returns seconds, such as time.monotonic")
        # Only now: this loads `limits`, which costs more than all the rest of the front door.
        address.load()

        from guardrails.ratelimit.identity import Identity  # noqa: PLC0415
        from guardrails.ratelimit.ledger import Ledger  # noqa: PLC0415

        self.name = name
        self.needs: tuple[str, ...] = tuple(role for role in _NEEDS if any(role in limit.roles for limit in self.limits))
        self._ledger = Ledger(time.monotonic_ns if clock is None else _nanoseconds(clock), max_keys=max_keys)
        rules = [Rule(limit, self._ledger.storage, replicas=replicas or 1, wait=wait) for limit in self.limits]
        self._patience = max(rule.wait for rule in rules)
        # Waiting is part of the control's own time.
        self.deadline_seconds: float = DEADLINE_SECONDS + self._patience
        self._refunds = Refunds(refund_on)
        self._counts_replies = any(limit.cost == "tokens" for limit in self.limits)
        self._shared: Shared | None = None
        if storage in (MEMORY, "memory"):
            if replicas is not None:
                raise ConfigError(
                    "RateLimit: replicas= goes with a shared storage; in memory every process counts for itself"
                )
            digester = (keys or Keys.ephemeral()).digester("ratelimit")
        else:
            from guardrails.ratelimit.endpoint import endpoint  # noqa: PLC0415

            where = endpoint(storage, plaintext_hosts)
            digester = _shared_digester(keys)
            _check_shared(self.limits, replicas, clock, timeout_seconds, max_connections)
            from guardrails.ratelimit.shared import Shared  # noqa: PLC0415 - needs the extra
            from guardrails.ratelimit.store import store_for  # noqa: PLC0415
            from guardrails.ratelimit.take import SpendShare, Take  # noqa: PLC0415

            store = store_for(where, digester, timeout_seconds=timeout_seconds, max_connections=max_connections)
            self._shared = Shared(store, self._ledger)
            self._take: type[Take] = Take
            self._spend_share: type[SpendShare] = SpendShare
        self._identity = Identity(rules, digester, self._ledger.storage)

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
            return await self._through_store(self._shared, charges, call, forward, io)
        ledger = self._ledger
        refusal, tightest, remaining = ledger.look(charges)
        if refusal is not None:
            if refusal.wait and not call.dry_run and not call.monitored:
                return await self._patiently(charges, refusal, call, forward, io)
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

    async def _through_store(
        self, shared: Shared, charges: Sequence[Charge], call: Call, forward: Forward, io: Io
    ) -> Reply:
        patience = 0.0 if self._patience and call.monitored else self._patience
        await shared.look(charges, call, io, patience=0.0 if call.dry_run else patience)
        if call.dry_run:
            return await forward(call)
        take = self._take(
            shared, charges, call, is_priced=self._identity.is_priced, patience=patience, refunds=self._refunds
        )
        call.at_door(take)
        call.at_door(self._spend_share(shared.ledger, take))
        if not self._counts_replies:
            return await forward(call)
        return settle_up(await forward(call), take.settle_up)

    async def _patiently(self, charges: Sequence[Charge], refusal: Refusal, call: Call, forward: Forward, io: Io) -> Reply:
        """A limit is used up, and the message may wait. It keeps its place until it has its units, or gives up."""
        ledger = self._ledger
        reserve = Reserve(ledger, charges, self._identity.is_priced, self._patience)
        try:
            looked = await reserve.until_room(refusal, charges, lambda: _looked(ledger.look(charges, reserve.place)), io)
            if isinstance(looked, Refusal):
                call.note("deny", detail=detail_of(looked, reserve.waited_seconds))
                raise refused(looked, len(call.message.recipients))
            charge, remaining = looked
            waited = round(reserve.waited_seconds * 1_000)
            call.note("allow", detail={"limit": charge.rule.limit.name, "remaining": remaining, "waited_ms": waited})
            return await self._through(reserve, call, forward)
        finally:
            reserve.leave()

    async def _through(self, reserve: Reserve, call: Call, forward: Forward) -> Reply:
        spend = Spend(self._ledger, reserve, self._refunds if self._refunds or self._counts_replies else None)
        call.at_door(reserve)
        call.at_door(spend)
        if not self._counts_replies:
            return await forward(call)
        return settle_up(await forward(call), spend.settle_up)

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
        if self._shared is None:
            storage = self._ledger.storage
            return {"storage": "memory", "counters": len(storage.windows), "max_counters": storage.max_keys}
        facts: dict[str, str | int | bool | None] = {"storage": "shared"}
        if self._shared.store.is_down:
            facts["problem"] = "its storage does not answer"
        return facts

    def close(self) -> None:
        """Close idle connections of a shared storage; a later send opens new ones."""
        if self._shared is not None:
            self._shared.store.close()

    def __repr__(self) -> str:
        return f"RateLimit({', '.join(limit.label for limit in self.limits)})"


def settle_up(reply: Reply, correct: Callable[[Callable[[Charge], int | None]], None]) -> Reply:
    """Charge what an answer added to the tokens of a message: now, or when its stream has ended."""
    if not isinstance(reply, Stream):
        correct(settled(reply))
        return reply
    heard = Heard()
    reply.add_filter(heard)
    reply.on_close(lambda _: correct(settled(heard.text)))
    return reply


def _looked(answer: tuple[Refusal | None, Charge, int]) -> Refusal | tuple[Charge, int]:
    refusal, tightest, remaining = answer
    return refusal or (tightest, remaining)


def _wait(on_limit: object, wait: object) -> float:
    """Seconds that a message may wait; 0 for not at all."""
    if on_limit not in (None, "deny", "wait"):
        raise ConfigError('RateLimit: on_limit must be "deny" or "wait"')
    if wait is None:
        if on_limit == "wait":
            raise ConfigError('RateLimit: on_limit="wait" needs a bound: write wait=seconds')
        return 0.0
    if on_limit == "deny":
        raise ConfigError('RateLimit: on_limit="deny" refuses at once, and wait= would wait; leave one of them out')
    if not is_wait(wait) or not isinstance(wait, int | float):
        raise ConfigError(f"RateLimit: wait is seconds, more than 0 and at most {MAX_WAIT_SECONDS}")
    return float(wait)


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


def _shared_digester(keys: Keys | None) -> Digester:
    keys = keys or Keys.default()
    if keys.auto_created or keys.ephemeral_only:
        raise ConfigError(
            "RateLimit: processes that share a storage must share a key: set GUARDRAILS_KEY, or pass keys= with a key of yours"
        )
    return keys.digester("ratelimit")


def _check_shared(
    limits: Sequence[Limit], replicas: int | None, clock: object, timeout_seconds: object, max_connections: object
) -> None:
    if clock is not None:
        raise ConfigError("RateLimit: clock= is for limits in memory; a shared storage has its server's clock")
    if not isinstance(timeout_seconds, (int, float)) or not 0 < timeout_seconds <= MAX_TIMEOUT_SECONDS:
        raise ConfigError(f"RateLimit: timeout_seconds must be more than 0 and at most {MAX_TIMEOUT_SECONDS}")
    if type(max_connections) is not int or max_connections < 1:
        raise ConfigError("RateLimit: max_connections must be an int of at least 1")
    if replicas is None and any(limit.protects == "provider" for limit in limits):
        raise ConfigError(
            "RateLimit: a limit that protects a provider goes on with this process's share while the storage does not answer; "
            "say how many processes share it, with replicas="
        )


def _nanoseconds(clock: Callable[[], float]) -> Callable[[], int]:
    return lambda: round(clock() * 1_000_000_000)
