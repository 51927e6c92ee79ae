"""
A store that several processes share: Redis or Valkey, asked by script, once for all limits of a message.

- Every question has a deadline; a store that failed is not asked again until the breaker lets one try.
- Connections are bounded. Whoever finds none free waits for one, and gives up when the store has failed meanwhile.
- An answer that was lost leaves something to give back: it is remembered, and given back when the store answers again.
- Asynchronous sends ask from worker threads, so one client serves threads, asyncio and trio.
"""

from __future__ import annotations

import os
import secrets
import threading
import time
import weakref
from collections import deque
from collections.abc import Callable, Sequence
from typing import Any, Final, NamedTuple

from guardrails.errors import ConfigError, Unavailable
from guardrails.keys import Digester
from guardrails.ratelimit import scripts
from guardrails.ratelimit.breaker import Breaker
from guardrails.ratelimit.endpoint import Endpoint
from guardrails.ratelimit.ledger import Charge, Refusal

try:
    import redis
    from redis.backoff import NoBackoff
    from redis.exceptions import NoScriptError
    from redis.retry import Retry
except ImportError:  # pragma: no cover - the tests have it
    raise ConfigError(
        'RateLimit: a shared storage needs the extra "redis": pip install "platform-guardrails[redis]"'
    ) from None

PREFIX: Final = "guardrails:limit:"
_KINDS: Final = {"moving-window": "m", "fixed-window": "f", "sliding-window-counter": "s"}
_GRANT_MS: Final = 600_000  # how long what was taken can be given back
_OWED: Final = 10_000  # takings without an answer that are remembered
_FLUSHED: Final = 16  # of them at a time
_OTHER_KEY: Final = (
    "rate limit: the store was filled under another master key, and every counter would begin anew; use that key, "
    "list it as an older key, or take an empty database"
)


class StoreDown(Exception):
    """The store did not answer, or not with an answer."""


class Admission(NamedTuple):
    """All counters admitted it: which one has least room, and how much is left there."""

    charge: Charge
    remaining: int


class Taking(NamedTuple):
    """What is asked for: one id, and each counter once."""

    grant: str
    charges: Sequence[Charge]


def taking(wanted: Sequence[Sequence[Charge]]) -> Taking:
    """Several messages' charges (one message's, in several layers) as one question; a counter that is named twice is summed."""
    summed: dict[str, Charge] = {}
    for charges in wanted:
        for charge in charges:
            name = counter_name(charge)
            known = summed.get(name)
            summed[name] = charge if known is None else charge._replace(units=known.units + charge.units)
    return Taking(f"{PREFIX}g:{secrets.token_hex(12)}", tuple(summed.values()))


def counter_name(charge: Charge) -> str:
    """The key of a counter. Its amount is not in it: a limit that is changed keeps its past."""
    kind = _KINDS[charge.rule.limit.strategy]
    window = "" if kind == "m" else str(charge.rule.seconds)
    return f"{PREFIX}{kind}{window}:{charge.key}"


class Store:
    """
    One server, for all `RateLimit`s of this process that name it alike.

    Args:
        where: The server.
        digester: Whose key the counters' keys are made with.
        timeout_seconds: How long one question may take.
        max_connections: Connections at once.
    """

    def __init__(self, where: Endpoint, digester: Digester, *, timeout_seconds: float, max_connections: int) -> None:
        self._where = where
        self._timeout = timeout_seconds
        self._connections = max_connections
        self._check = digester.label("limit store")
        self._older = " ".join(digester.all_labels("limit store")[1:])
        self._owed: deque[Taking] = deque(maxlen=_OWED)
        self._fresh()

    def _fresh(self) -> None:
        """As new: also in a child, which has none of its parent's connections."""
        self._pid = os.getpid()
        self._offset: int | None = None  # server's microseconds minus our monotonic ones
        self.breaker: Breaker = Breaker(time.monotonic)
        self._slots = threading.BoundedSemaphore(self._connections)
        self._client = _client(self._where, self._timeout, self._connections)

    def look(self, charges: Sequence[Charge]) -> Refusal | Admission:
        """Whether *charges* would fit now. Takes nothing."""
        return self._ask(taking([charges]), "look")

    def take(self, wanted: Taking) -> Refusal | Admission:
        """
        Take all of *wanted*, or nothing.

        Raises:
            StoreDown: The store cannot be asked; whether it took something is unknown, and `give_back` settles it.
            Unavailable: It was filled under another key.
        """
        return self._ask(wanted, "take")

    def give_back(self, taken: Taking) -> None:
        """Undo a taking by its id, whether it happened or not; later, if the store does not answer now."""
        self.owe(taken)
        try:
            self._flush()
        except StoreDown:
            return  # remembered: the next answer of the store is followed by it

    def owe(self, taken: Taking) -> None:
        """Remember to undo a taking; waits for nothing."""
        self._owed.append(taken)

    def clear(self, charges: Sequence[Charge]) -> int:
        """Forget counters; how many there were."""
        return int(self._guarded(lambda: self._client.delete(*[counter_name(charge) for charge in charges])))

    def close(self) -> None:
        """Give back what is owed if the store answers, and close the idle connections; a later question opens new ones."""
        if self._pid == os.getpid():
            try:
                self._flush()
            except StoreDown:
                self._owed.clear()
            self._client.connection_pool.disconnect(inuse_connections=False)

    def _ask(self, wanted: Taking, mode: str) -> Refusal | Admission:
        for _ in range(3):
            code, *answer = self._guarded(lambda: self._run_take(wanted, mode))
            if code != scripts.LATE:
                break
        if self._owed:
            self._flush()
        if code == scripts.OTHER_KEY:
            raise Unavailable(_OTHER_KEY)
        if code not in (scripts.TAKEN, scripts.REFUSED):
            raise StoreDown
        number, rest = answer
        charge = wanted.charges[number - 1]
        if code == scripts.TAKEN:
            return Admission(charge, rest)
        return Refusal(charge, None if rest < 0 else rest / 1_000_000)

    def _run_take(self, wanted: Taking, mode: str) -> tuple[int, ...]:
        offset = self._offset
        if offset is None:
            seconds, micros = self._client.time()
            offset = seconds * 1_000_000 + micros - time.monotonic_ns() // 1_000
        # The server's time at which we stop waiting, never later: the offset was read after the server had read its clock.
        not_after = time.monotonic_ns() // 1_000 + offset + int(self._timeout * 1_000_000)
        keys = [PREFIX + "key", wanted.grant, *map(counter_name, wanted.charges)]
        asked = " ".join(
            f"{_KINDS[rule.limit.strategy]} {units} {rule.limit.amount} {rule.seconds}000000"
            for rule, _, units, _ in wanted.charges
        )
        arguments = [mode, self._check, self._older, not_after, _GRANT_MS, asked]
        code, now, *rest = self._script(scripts.TAKE, _TAKE_SHA, keys, arguments)
        self._offset = now - time.monotonic_ns() // 1_000
        return (code, *rest)

    def _flush(self) -> None:
        for _ in range(min(_FLUSHED, len(self._owed))):
            try:
                owed = self._owed.popleft()
            except IndexError:
                return
            arguments: list[Any] = [_GRANT_MS]
            for rule, _, units, _ in owed.charges:
                arguments += [_KINDS[rule.limit.strategy], units, rule.seconds * 1_000_000]
            keys = [owed.grant, *map(counter_name, owed.charges)]
            try:
                self._guarded(lambda: self._script(scripts.RELEASE, _RELEASE_SHA, keys, arguments))  # noqa: B023 - called at once
            except StoreDown:
                self._owed.append(owed)
                raise

    def _script(self, source: str, sha: str, keys: Sequence[str], arguments: Sequence[Any]) -> Any:
        try:
            return self._client.evalsha(sha, len(keys), *keys, *arguments)
        except NoScriptError:  # it started again, or was told to forget
            return self._client.eval(source, len(keys), *keys, *arguments)

    def _guarded(self, question: Callable[[], Any]) -> Any:
        """Ask within the bounds, and keep what was learnt about the store."""
        if self._pid != os.getpid():
            self._fresh()  # a child has none of its parent's connections
        if not self.breaker.may_ask():
            raise StoreDown
        was_open = self.breaker.is_open
        with self._slots:
            if self.breaker.is_open and not was_open:  # it failed while we waited for a connection
                raise StoreDown
            try:
                try:
                    answer = question()
                except redis.TimeoutError:
                    raise
                except redis.ConnectionError:
                    # Kept connections die with a server that starts again. Asking twice takes once: the id is the same.
                    self._client.connection_pool.disconnect(inuse_connections=False)
                    answer = question()
            except (redis.RedisError, OSError):
                self.breaker.failed()
                failed = True
            else:
                self.breaker.answered()
                failed = False
        if failed:  # outside the block: what the client raised may quote addresses and commands
            raise StoreDown
        return answer

    def __repr__(self) -> str:
        return f"Store({self._where!r})"


def _client(where: Endpoint, timeout: float, connections: int) -> Any:
    options: dict[str, Any] = {
        "username": where.username,
        "password": where.password,
        "db": where.database,
        "socket_timeout": timeout,
        "socket_connect_timeout": timeout,
        "retry": Retry(NoBackoff(), 0),  # a question may be asked again only by us, who know its id
        "protocol": 2,
        "max_connections": connections,
    }
    connect: Any = redis.Redis  # its options are typed one by one, ours are read from a table
    if where.path:
        del options["socket_connect_timeout"]
        return connect(unix_socket_path=where.path, **options)
    tls = {"ssl": True, "ssl_cert_reqs": "required", "ssl_check_hostname": True} if where.tls else {}
    return connect(host=where.host, port=where.port, **tls, **options)


def _sha(source: str) -> str:
    import hashlib  # noqa: PLC0415 - only here

    return hashlib.sha1(source.encode(), usedforsecurity=False).hexdigest()


_TAKE_SHA: Final = _sha(scripts.TAKE)
_RELEASE_SHA: Final = _sha(scripts.RELEASE)

_stores: Final[weakref.WeakValueDictionary[tuple[object, ...], Store]] = weakref.WeakValueDictionary()
_stores_lock: Final = threading.Lock()


def store_for(where: Endpoint, digester: Digester, *, timeout_seconds: float, max_connections: int) -> Store:
    """The one store of these arguments: guards and layers that name it alike ask it together."""
    named = (where, digester.all_labels("limit store"), timeout_seconds, max_connections)
    with _stores_lock:
        store = _stores.get(named)
        if store is None:
            store = _stores[named] = Store(
                where, digester, timeout_seconds=timeout_seconds, max_connections=max_connections
            )
        return store
