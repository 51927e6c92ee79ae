"""
A store that several processes share: Redis or Valkey, asked by script, once for all limits of a message.

- Questions are bounded: see `link`.
- An answer that was lost leaves something to give back: it is remembered, and given back when the store answers again.
- What a send's end gives back or adds is told by a thread of the store's, so that no send waits for it. One thread tells
  at a time: a lease that was given back is not renewed by a question which was on its way.
- Asynchronous sends ask from worker threads, so one client serves threads, asyncio and trio.
"""

from __future__ import annotations

import atexit
import secrets
import threading
import time
import weakref
from collections.abc import Sequence
from typing import Any, Final, NamedTuple

from guardrails.errors import Unavailable
from guardrails.keys import Digester
from guardrails.ratelimit import scripts
from guardrails.ratelimit.charge import LEASE_RETRY_SECONDS, Charge, Refusal
from guardrails.ratelimit.keeper import Keeper
from guardrails.ratelimit.promises import Debts, Leases, Owed, Taking
from guardrails.server.endpoint import Endpoint
from guardrails.server.link import Link, StoreDown, run, sha_of

PREFIX: Final = "guardrails:limit:"
WAITING: Final = PREFIX + "waiting"
_CHECK: Final = PREFIX + "key"
_GRANT_MS: Final = 600_000  # how long what was taken can be given back
_FLUSHED: Final = 16  # things told at a time
_TRIES: Final = 3  # where the server's clock stepped
_RENEWED: Final = 500  # leases renewed in one question
_PLACE_SECONDS: Final = 4.0  # that a place in the line outlives the pause that its owner announced
_OTHER_KEY: Final = (
    "rate limit: the store was filled under another master key, and every counter would begin anew; use that key, "
    "list it as an older key, or take an empty database"
)


class Admission(NamedTuple):
    """All counters admitted it: which one has least room, and how much is left there."""

    charge: Charge
    remaining: int


def taking(wanted: Sequence[Sequence[Charge]]) -> Taking:
    """Several messages' charges (one message's, in several layers) as one question; a counter that is named twice is summed."""
    summed: dict[str, Charge] = {}
    for charges in wanted:
        for charge in charges:
            name = counter_name(charge)
            known = summed.get(name)
            summed[name] = charge if known is None else charge._replace(units=known.units + charge.units)
    return Taking(f"{PREFIX}g:{secrets.token_hex(12)}", tuple(summed.values()), tuple(summed))


def counter_name(charge: Charge) -> str:
    """The key of a counter."""
    return f"{PREFIX}{charge.rule.counter}{charge.key}"


class Store:
    """
    One server, for all `RateLimit`s of this process that name it alike.

    Args:
        where: The server.
        digester: Whose key the counters' keys are made with.
        timeout_seconds: How long one question may take.
        max_connections: Connections at once.
    """

    __slots__ = ("__weakref__", "_check", "_keeper", "_leases", "_offset", "_older", "_owed", "_telling", "link")

    def __init__(self, where: Endpoint, digester: Digester, *, timeout_seconds: float, max_connections: int) -> None:
        self._check = digester.label("limit store")
        self._older = " ".join(digester.all_labels("limit store")[1:])
        self.link: Link = Link(
            where, timeout_seconds=timeout_seconds, max_connections=max_connections, renewed=self._renewed
        )
        self._renewed()
        _atexit.add(self)

    def _renewed(self) -> None:
        """As new: also in a child, whose parent keeps its own promises."""
        self._offset: int | None = None  # server's microseconds minus our monotonic ones
        self._owed = Debts()
        self._leases = Leases()
        self._keeper = Keeper(self)
        self._telling = threading.Lock()

    @property
    def is_down(self) -> bool:
        """Whether its last answer was a failure."""
        return self.link.breaker.is_open

    def look(self, charges: Sequence[Charge]) -> Refusal | Admission:
        """Whether *charges* would fit now. Takes nothing."""
        return self._ask(taking([charges]), "look")

    def take(self, wanted: Taking, *, place_seconds: float = 0.0, left_seconds: float = 0.0) -> Refusal | Admission:
        """
        Take all of *wanted*, or nothing.

        Args:
            wanted: What is wanted.
            place_seconds: If it is refused, keep a place in the line for this long; 0 for none.
            left_seconds: How long it may still wait; what has to wait longer gets no place.

        Raises:
            StoreDown: The store cannot be asked; whether it took something is unknown, and `give_back` settles it.
            Unavailable: It was filled under another key.
        """
        busy = self._owed or self._telling.locked()
        if busy and self.link.is_ours and any(charge.rule.is_lease for charge in wanted.charges):
            # The lease of the send before is still to be given back: whoever sends one after the other is never over.
            self._tell_some(wait_seconds=self.link.timeout_seconds / 2)
        return self._ask(wanted, "wait" if place_seconds else "take", (place_seconds, left_seconds))

    def used(self, charges: Sequence[Charge]) -> list[tuple[int, float | None]]:
        """For each counter: units that count now, and seconds until one more fits (None: never)."""
        units = [charge._replace(units=1) for charge in charges]
        wanted = Taking(f"{PREFIX}g:none", units, [counter_name(charge) for charge in units])
        found = self._answer(wanted, "show")
        return [
            (units, None if free < 0 else free / 1_000_000) for units, free in zip(found[::2], found[1::2], strict=True)
        ]

    def give_back(self, taken: Taking) -> None:
        """Undo a taking by its id, whether it happened or not; later, if the store does not answer now."""
        self._owed.add(Owed(taken))
        self._tell_some(wait_seconds=self.link.timeout_seconds)

    def owe(self, taken: Taking) -> None:
        """Remember to undo a taking; waits for nothing."""
        self.promise(Owed(taken))

    def promise(self, owed: Owed) -> None:
        """Tell the store soon; waits for nothing."""
        self._owed.add(owed)
        self._keeper.wake()

    def hold(self, grant: str, charges: Sequence[Charge]) -> None:
        """Keep the leases of a taking alive until `release`."""
        self._leases.hold(grant, charges)
        self._keeper.wake()

    def release(self, grant: str) -> None:
        """Keep the leases of a taking alive no longer; who calls this promises to give them back."""
        self._leases.drop(grant)

    def tell(self) -> float | None:
        """Tell the store what was promised and what still runs; the keeper calls it."""
        with self._telling:
            try:
                self._renew()
                while self._owed:
                    self._flush()
            except (StoreDown, Unavailable):
                return 0.0
            return self._leases.pause()

    def _tell_some(self, *, wait_seconds: float = 0.0) -> None:
        """Tell what is owed, unless another thread does, or has to do it later."""
        told, telling = False, self._telling  # a child after a fork gets another one with its first question
        if telling.acquire(timeout=wait_seconds):
            try:
                self._flush()
                told = True
            except StoreDown:
                pass
            finally:
                telling.release()
        if not told:
            self._keeper.wake()

    def _renew(self) -> None:
        due = self._leases.due()
        for begin in range(0, len(due), _RENEWED):
            some = due[begin : begin + _RENEWED]
            keys = [counter_name(charge) for _, charge in some]
            by_length = {charge.rule.seconds for _, charge in some}
            for seconds in by_length:
                chosen = [(key, one[0]) for key, one in zip(keys, some, strict=True) if one[1].rule.seconds == seconds]
                names, grants = [key for key, _ in chosen], [grant for _, grant in chosen]
                for _ in range(_TRIES):
                    arguments = [seconds * 1_000_000, self._not_after(), *grants]
                    answer = self.link.script(scripts.RENEW, _RENEW_SHA, names, arguments)
                    code, now = map(int, answer.split())
                    self._offset = now - time.monotonic_ns() // 1_000
                    if code != scripts.LATE:
                        break

    def clear(self, charges: Sequence[Charge]) -> int:
        """Forget counters; how many there were."""
        return int(self.link.ask(lambda client: client.delete(*[counter_name(charge) for charge in charges])))

    def close(self) -> None:
        """Tell the store what is promised if it answers, and close the idle connections; a later question opens new ones."""
        if self.link.is_ours:
            with self._telling:
                try:
                    while self._owed:
                        self._flush()
                except (StoreDown, Unavailable):
                    self._owed.clear()
            self.link.close()

    def at_exit(self) -> None:
        """Tell the rest before the process ends, if the store is there."""
        if not self.link.is_ours or self.is_down:
            return
        with self._keeper.silent(self.link.timeout_seconds):  # the end of the process would stop it half-way
            if self._owed:
                self.close()

    def _ask(self, wanted: Taking, mode: str, place: tuple[float, float] = (0.0, 0.0)) -> Refusal | Admission:
        code, first, rest, *refusing = self._answer(wanted, mode, place, coded=True)
        charge = wanted.charges[first - 1]
        if code == scripts.TAKEN:
            return Admission(charge, rest)
        patience = min(wanted.charges[number - 1].rule.wait for number in refusing or [first])
        retry_after = None if rest < 0 else rest / 1_000_000
        if retry_after is not None and charge.rule.is_lease:
            retry_after = min(retry_after, LEASE_RETRY_SECONDS)
        return Refusal(charge, retry_after, patience)

    def _answer(
        self, wanted: Taking, mode: str, place: tuple[float, float] = (0.0, 0.0), *, coded: bool = False
    ) -> list[int]:
        for _ in range(_TRIES):
            code, *answer = self.link.ask(lambda client: self._run_take(client, wanted, mode, place))
            if code != scripts.LATE:
                break
        if self._owed and mode != "force":
            self._tell_some()
        if code == scripts.OTHER_KEY:
            raise Unavailable(_OTHER_KEY)
        if code not in (scripts.TAKEN, scripts.REFUSED):
            raise StoreDown
        return [code, *answer] if coded else answer

    def _run_take(self, client: Any, wanted: Taking, mode: str, place: tuple[float, float]) -> tuple[int, ...]:
        if self._offset is None:
            seconds, micros = client.time()
            self._offset = seconds * 1_000_000 + micros - time.monotonic_ns() // 1_000
        not_after = self._not_after()
        keys = (_CHECK, wanted.grant, WAITING, *wanted.names)
        asked = " ".join([f"{rule.kind} {units} {rule.bounds}" for rule, _, units, _ in wanted.charges])
        pause, left = place
        until = int((pause + _PLACE_SECONDS) * 1_000_000) if pause else 0
        text = f"{mode} {not_after} {_GRANT_MS} {until} {int(left * 1_000_000)} {self._check} {asked}"
        code, now, *rest = map(int, run(client, scripts.TAKE, _TAKE_SHA, keys, (text, self._older)).split())
        self._offset = now - time.monotonic_ns() // 1_000
        return (code, *rest)

    def _not_after(self) -> int:
        """The server's time at which we stop waiting, never later: the offset was read after the server had read its clock."""
        offset = self._offset
        if offset is None:  # nothing was asked yet: leases follow a taking
            return 0
        return time.monotonic_ns() // 1_000 + offset + int(self.link.timeout_seconds * 1_000_000)

    def _flush(self) -> None:
        for _ in range(min(_FLUSHED, len(self._owed))):
            owed = self._owed.next()
            if owed is None:
                return
            try:
                if owed.force:
                    self._answer(owed.taking, "force")
                else:
                    self._return(owed)
            except StoreDown:
                self._owed.add(owed)
                raise

    def _return(self, owed: Owed) -> None:
        grant, charges, names = owed.taking
        whole = [(-1, charge.units) for charge in charges]
        arguments: list[Any] = [_GRANT_MS]
        keys = [grant, WAITING]
        for number, (place, units) in enumerate(owed.back or whole):
            own = place - 1 if owed.back else number
            charge = charges[own]
            arguments += [place, charge.rule.kind, charge.units, units, charge.rule.seconds * 1_000_000]
            keys.append(names[own])
        self.link.script(scripts.RELEASE, _RELEASE_SHA, keys, arguments)

    def __repr__(self) -> str:
        return f"Store({self.link.where!r})"


_TAKE_SHA: Final = sha_of(scripts.TAKE)
_RELEASE_SHA: Final = sha_of(scripts.RELEASE)
_RENEW_SHA: Final = sha_of(scripts.RENEW)

_atexit: Final[weakref.WeakSet[Store]] = weakref.WeakSet()


@atexit.register
def _at_exit() -> None:
    for store in list(_atexit):
        store.at_exit()


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
