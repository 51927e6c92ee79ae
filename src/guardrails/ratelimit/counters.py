"""
What limits count on: the counters, who is counted, and a shared storage, from the arguments that controls share.

This is where `limits` and the client of a server are loaded, when the first limit is built and not before.
"""

from __future__ import annotations

import time
from collections.abc import Awaitable, Callable, Collection, Sequence
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeAlias

from guardrails import address
from guardrails.errors import ConfigError
from guardrails.keys import Digester, Keys
from guardrails.ratelimit.limit import MAX_WAIT_SECONDS, Limit, is_wait
from guardrails.ratelimit.use import Use, forget, known_charges, uses

if TYPE_CHECKING:
    from guardrails.core.message import Message
    from guardrails.ratelimit.charge import Rule
    from guardrails.ratelimit.identity import Identity
    from guardrails.ratelimit.ledger import Ledger
    from guardrails.ratelimit.replay import Replay
    from guardrails.ratelimit.shared import Shared

MEMORY: Final = "memory://"
MAX_TIMEOUT_SECONDS: Final = 1.5  # so that a send is refused within 2 s of a store that hangs
_NEEDS: Final = ("recipient", "tenant", "conversation", "actor", "sender")  # what core checks before any control runs

ThroughStore: TypeAlias = Callable[..., Awaitable[Any]]


class Setup(NamedTuple):
    """The arguments of a control that say where it counts; see `RateLimit`."""

    control: str
    storage: str
    keys: Keys | None
    clock: Callable[[], float] | None
    max_keys: int
    timeout_seconds: float
    max_connections: int
    plaintext_hosts: Collection[str]
    replicas: int | None


class Counters(NamedTuple):
    """
    What a control counts on.

    Args:
        ledger: Counters of this process; with a shared storage its share, for while the storage does not answer.
        identity: Who is counted.
        shared: The shared storage.
        through_store: Registers the door steps of a shared storage.
        patience: The longest that a message may wait, in seconds.
        needs: Roles that a call must have.
    """

    ledger: Ledger
    identity: Identity
    shared: Shared | None
    through_store: ThroughStore
    patience: float
    needs: tuple[str, ...]

    def usage(self, message: Message, layer: str) -> list[Use]:
        """
        What is used of each counter of *message*.

        Raises:
            Unavailable: A shared storage does not answer.
        """
        return uses(known_charges(self.identity, message, layer), self.ledger, self.shared)

    def forget(self, message: Message, layer: str, limit: str | None) -> int:
        """
        Forget what is used of the counters of *message*, of one limit or of all; how many counters there were.

        Raises:
            Unavailable: A shared storage does not answer.
        """
        charges = known_charges(self.identity, message, layer)
        return forget([one for one in charges if limit in (None, one.rule.limit.label)], self.ledger, self.shared)

    def health(self) -> dict[str, str | int | bool | None]:
        """How many counters there are in memory, and under "problem" what is wrong with a shared storage."""
        if self.shared is None:
            storage = self.ledger.storage
            return {"storage": "memory", "counters": len(storage.windows), "max_counters": storage.max_keys}
        facts: dict[str, str | int | bool | None] = {"storage": "shared"}
        if self.shared.store.is_down:
            facts["problem"] = "its storage does not answer"
        return facts

    def close(self) -> None:
        """Close idle connections of a shared storage; a later send opens new ones."""
        if self.shared is not None:
            self.shared.store.close()


def counters_for(
    limits: Sequence[Limit], setup: Setup, *, wait: float = 0.0, name: object, lease: bool = False
) -> Counters:
    """
    Counters for *limits*.

    Args:
        limits: The limits.
        setup: Where they count.
        wait: Seconds that a message may wait for room, of limits that say nothing else.
        name: The control's name.
        lease: Whether units come back when the send has ended.

    Raises:
        ConfigError: An argument is wrong, or a shared storage has no encryption, no key that somebody chose, or no client
            installed.
    """
    who, replicas = setup.control, setup.replicas
    if not isinstance(setup.storage, str):
        raise ConfigError(f'{who}: storage is a str such as "{MEMORY}"')
    if replicas is not None and (type(replicas) is not int or replicas < 1):
        raise ConfigError(f"{who}: replicas must be an int of at least 1")
    if type(name) is not str or not name:
        raise ConfigError(f"{who}: name must be a non-empty str")
    if type(setup.max_keys) is not int or setup.max_keys < 1:
        raise ConfigError(f"{who}: max_keys must be an int of at least 1")
    if setup.clock is not None and not callable(setup.clock):
        raise ConfigError(f"{who}: clock must be a function that returns seconds, such as time.monotonic")
    # Only now: this loads `limits`, which costs more than all the rest of the front door.
    address.load()

    from guardrails.ratelimit.charge import Rule  # noqa: PLC0415
    from guardrails.ratelimit.identity import Identity  # noqa: PLC0415
    from guardrails.ratelimit.ledger import Ledger  # noqa: PLC0415

    ledger = Ledger(time.monotonic_ns if setup.clock is None else _nanoseconds(setup.clock), max_keys=setup.max_keys)
    rules = [Rule(limit, ledger.storage, replicas=replicas or 1, wait=wait, lease=lease) for limit in limits]
    patience, needs = _patience(rules), _needs(limits)
    if setup.storage in (MEMORY, "memory"):
        if replicas is not None:
            raise ConfigError(f"{who}: replicas= goes with a shared storage; in memory every process counts for itself")
        digester = (setup.keys or Keys.ephemeral()).digester("ratelimit")
        return Counters(ledger, Identity(rules, digester, ledger.storage), None, _no_store, patience, needs)
    from guardrails.server.endpoint import endpoint  # noqa: PLC0415

    where = endpoint(setup.storage, setup.plaintext_hosts, asked_by=who)
    digester = _shared_digester(setup.keys, who)
    _check_shared(limits, setup)
    from guardrails.ratelimit.shared import Shared  # noqa: PLC0415 - needs the extra
    from guardrails.ratelimit.store import store_for  # noqa: PLC0415
    from guardrails.ratelimit.take import through_store  # noqa: PLC0415

    store = store_for(where, digester, timeout_seconds=setup.timeout_seconds, max_connections=setup.max_connections)
    identity = Identity(rules, digester, ledger.storage)
    return Counters(ledger, identity, Shared(store, ledger), through_store, patience, needs)


def with_limits(counters: Counters, limits: Sequence[Limit], setup: Setup, *, wait: float, lease: bool = False) -> Counters:
    """
    The same counters for other limits.

    Raises:
        ConfigError: A limit does not go with the storage.
    """
    from guardrails.ratelimit.charge import Rule  # noqa: PLC0415 - loaded already

    if counters.shared is not None:
        _check_shared(limits, setup)
    storage = counters.ledger.storage
    rules = [Rule(limit, storage, replicas=setup.replicas or 1, wait=wait, lease=lease) for limit in limits]
    identity = counters.identity.with_rules(rules, storage)
    return counters._replace(identity=identity, patience=_patience(rules), needs=_needs(limits))


def replayed(counters: Counters, limits: Sequence[Limit], setup: Setup, replay: Replay, *, lease: bool = False) -> Counters:
    """Counters in memory for a replay; those of controls that count together are counted together."""
    own = setup._replace(storage=MEMORY, keys=None, clock=replay.clock, replicas=None)
    # Limits in memory are together where they share a ledger, those in a storage where they share that.
    place = counters.ledger if counters.shared is None else counters.shared.store
    base = replay.shared(place, lambda: counters_for(limits, own, name="replay", lease=lease))
    return with_limits(base, limits, own, wait=0.0, lease=lease)


def _patience(rules: Sequence[Rule]) -> float:
    return max(rule.wait for rule in rules)


def _needs(limits: Sequence[Limit]) -> tuple[str, ...]:
    return tuple(role for role in _NEEDS if any(role in limit.roles for limit in limits))


async def _no_store(*_: object) -> None:
    """Limits in memory have none."""


def wait_of(who: str, on_limit: object, wait: object) -> float:
    """
    Seconds that a message may wait; 0 for not at all.

    Raises:
        ConfigError: They are not as `RateLimit` says.
    """
    if on_limit not in (None, "deny", "wait"):
        raise ConfigError(f'{who}: on_limit must be "deny" or "wait"')
    if wait is None:
        if on_limit == "wait":
            raise ConfigError(f'{who}: on_limit="wait" needs a bound: write wait=seconds')
        return 0.0
    if on_limit == "deny":
        raise ConfigError(f'{who}: on_limit="deny" refuses at once, and wait= would wait; leave one of them out')
    if not is_wait(wait) or not isinstance(wait, int | float):
        raise ConfigError(f"{who}: wait is seconds, more than 0 and at most {MAX_WAIT_SECONDS}")
    return float(wait)


def _shared_digester(keys: Keys | None, who: str) -> Digester:
    keys = keys or Keys.default()
    if keys.auto_created or keys.ephemeral_only:
        raise ConfigError(
            f"{who}: processes that share a storage must share a key: set GUARDRAILS_KEY, or pass keys= with a key of yours"
        )
    return keys.digester("ratelimit")


def _check_shared(limits: Sequence[Limit], setup: Setup) -> None:
    who, timeout_seconds, max_connections = setup.control, setup.timeout_seconds, setup.max_connections
    if setup.clock is not None:
        raise ConfigError(f"{who}: clock= is for limits in memory; a shared storage has its server's clock")
    if not isinstance(timeout_seconds, (int, float)) or not 0 < timeout_seconds <= MAX_TIMEOUT_SECONDS:
        raise ConfigError(f"{who}: timeout_seconds must be more than 0 and at most {MAX_TIMEOUT_SECONDS}")
    if type(max_connections) is not int or max_connections < 1:
        raise ConfigError(f"{who}: max_connections must be an int of at least 1")
    if setup.replicas is None and any(limit.protects == "provider" for limit in limits):
        raise ConfigError(
            f"{who}: a limit that protects a provider goes on with this process's share while the storage does not answer; "
            "say how many processes share it, with replicas="
        )


def _nanoseconds(clock: Callable[[], float]) -> Callable[[], int]:
    return lambda: round(clock() * 1_000_000_000)
