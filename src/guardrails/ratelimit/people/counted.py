"""
What caps and counts of people share: which storage, for which messages, when it is asked, and the door step that takes.

A storage in memory is asked on the way in and at the door; another one at the door only, unless it refused the same counter
just now. What was taken stays taken once the send is entered: an attempt may have reached somebody.
"""

from __future__ import annotations

import copy
import secrets
import threading
import time
import weakref
from collections.abc import Callable, Collection, Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Final, NamedTuple, TypeVar

from guardrails.errors import Blocked, ConfigError, Deferred, GuardrailsError
from guardrails.keys import Digester, Keys
from guardrails.ratelimit.people.classes import Classes
from guardrails.ratelimit.people.storage import MEMORY, digester_for, file_of, server_of
from guardrails.ratelimit.people.tally import SECOND, Ask, Full, MemoryTally, Tally, Want
from guardrails.ratelimit.use import Use

if TYPE_CHECKING:
    from guardrails.core.call import Call
    from guardrails.core.control import Forward, Io, Outcome, Reply, Sealed
    from guardrails.core.message import Message
    from guardrails.ratelimit.replay import Replay

MAX_KEYS: Final = 200_000
_REFUSED: Final = 4_096
_START: Final = datetime(1970, 1, 1, tzinfo=UTC)


def micros(moment: datetime) -> int:
    """Microseconds since 1970."""
    return (moment - _START) // timedelta(microseconds=1)


def moment(microseconds: int) -> datetime:
    """The instant of so many microseconds since 1970."""
    return _START + timedelta(microseconds=microseconds)


class Kept(NamedTuple):
    """
    Where rules keep their rows: the `kept` of a rule, which other rules may count in too.

    Args:
        tally: The rows.
        digester: Key of their digests.
    """

    tally: Tally
    digester: Digester


def kept_in(
    storage: str | Kept,
    keys: Keys | None,
    *,
    rule: str,
    max_keys: int,
    timeout_seconds: float,
    max_connections: int,
    plaintext_hosts: Collection[str],
) -> Kept:
    """
    The rows of a rule; rules that name one storage alike ask it together.

    Raises:
        ConfigError: An argument is wrong, or what is kept has no key that is kept.
    """
    if isinstance(storage, Kept):
        return storage
    if not isinstance(storage, str):
        raise ConfigError(
            f'{rule}: storage is a str such as "{MEMORY}", "sqlite:///people.db" or "redis://localhost:6379/0"'
        )
    if type(max_keys) is not int or max_keys < 1:
        raise ConfigError(f"{rule}: max_keys must be an int of at least 1")
    digester = digester_for(storage, keys, "people", rule=rule)
    if storage == MEMORY:
        return Kept(MemoryTally(max_keys), digester)
    named = (storage, digester.all_labels("tally"), timeout_seconds, max_connections)
    with _lock:
        tally = _known.get(named)
        if tally is None:
            tally = _known[named] = _made(storage, digester, named, rule, timeout_seconds, max_connections, plaintext_hosts)
    return Kept(tally, digester)


def _made(
    storage: str,
    digester: Digester,
    named: tuple[object, ...],
    rule: str,
    timeout_seconds: float,
    max_connections: int,
    plaintext_hosts: Collection[str],
) -> Tally:
    if path := file_of(storage):
        from guardrails.ratelimit.people.tally_file import SqliteTally  # noqa: PLC0415

        return SqliteTally(path, digester)
    server = server_of(
        storage,
        rule=rule,
        timeout_seconds=timeout_seconds,
        max_connections=max_connections,
        plaintext_hosts=plaintext_hosts,
    )
    from guardrails.ratelimit.people.tally_server import ServerTally  # noqa: PLC0415

    return ServerTally(server, digester, place=named, timeout_seconds=timeout_seconds)


_known: Final[weakref.WeakValueDictionary[tuple[object, ...], Tally]] = weakref.WeakValueDictionary()
_lock: Final = threading.Lock()


class Counting:
    """
    A rule that counts, on its way with one message after the other.

    Args:
        kept: Where its rows are.
        classes: For which messages it holds.
        wants: The rows that a message of a layer asks for, at a time.
        says: What a refusal is called, such as "cap 3/day".
        replay: Whose clock counts; without it core's.
    """

    def __init__(
        self,
        kept: Kept,
        classes: Classes,
        wants: Callable[[Message, str], Ask],
        says: str,
        replay: Replay | None = None,
    ) -> None:
        self.kept: Kept = kept
        self.tally: Tally = kept.tally
        self.says: str = says
        self.per_process: bool = not kept.tally.blocks
        self.uses_network: bool = kept.tally.is_remote
        self._classes = classes
        self._wants = wants
        self._replay = replay
        self._refused: dict[str, float] = {}  # counters that refused just now, and until when they will

    def replayed(self, replay: Replay, wants: Callable[[Message, str], Ask]) -> Counting:
        """The same rule, with rows of a replay."""
        kept = replay.shared(self.tally, lambda: Kept(MemoryTally(MAX_KEYS), self.kept.digester))
        return Counting(kept, self._classes, wants, self.says, replay)

    def now(self, io: Io) -> int:
        """Microseconds since 1970."""
        return micros(io.now() if self._replay is None else self._replay.now())

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> Reply:
        """Refuse early where that costs nothing; take at the door."""
        if not self._classes.hold(call):
            return await forward(call)
        if call.canary is None:
            ask = self._wants(call.message, call.layer)
        else:  # counted by itself, one in a minute
            ask = _for_rehearsals(self._wants(call.message, f"canary:{call.canary}:{call.layer}"))
        now = self.now(io)
        if not self.tally.blocks:
            self.refuse(self.tally.look(ask, now), ask, now, call.message, self.says)
        elif call.dry_run or self._refused_just_now(ask(now)):
            full = await io.ask(blocking=lambda: self.tally.look(ask, now))
            self.refuse(full, ask, now, call.message, self.says)
        call.note("allow")
        if not call.dry_run:
            call.at_door(Count(self, ask, call.message))
        return await forward(call)

    def stands(self, ask: Ask, about: Use, *, recipients: int = 0) -> list[Use]:
        """
        How the counters of a message stand.

        Args:
            ask: Which counters.
            about: The rule, as an empty counter of it would show.
            recipients: How many the message has, where each has a counter.

        Raises:
            Unavailable: The storage does not answer.
        """
        now = micros(datetime.now(UTC))
        found = self.tally.stand(ask, now)
        return [
            replace(
                about,
                used=one.used,
                retry_after=max(0.0, (one.free_at - now) / SECOND),
                position=number if recipients else 0,
            )
            for number, one in enumerate(found, 1)
        ]

    def forget(self, wants: Sequence[Want]) -> int:
        """
        Forget rows; how many of *wants* had any.

        Raises:
            Unavailable: The storage does not answer.
        """
        self._refused.clear()
        return self.tally.forget(wants)

    def refuse(self, full: Full | None, ask: Ask, now: int, message: Message, says: str) -> None:
        """
        Say no, if the answer was no.

        Raises:
            Deferred: There will be room at `not_before`.
            Blocked: There never will, for this message.
        """
        if full is None:
            return
        error = self._refusal(full, ask(now), message, says)
        if isinstance(error, Deferred):
            self._remember(ask(now)[full.number].counter, full.free_at - now)
        raise error

    @staticmethod
    def _refusal(full: Full, wants: Sequence[Want], message: Message, says: str) -> GuardrailsError:
        position = min(full.number + 1, len(message.recipients))
        who = f" for recipient {position} of {len(message.recipients)}" if len(wants) > 1 or message.recipients else ""
        if not full.free_at:
            return Blocked(f"{says}: can never fit{who}", findings={"PEOPLE_LIMIT": 1})
        return Deferred(f"{says} is used up{who}", not_before=moment(full.free_at))

    def _remember(self, counter: str, microseconds: int) -> None:
        if len(self._refused) >= _REFUSED:
            self._refused.clear()
        self._refused[counter] = time.monotonic() + microseconds / SECOND

    def _refused_just_now(self, wants: Sequence[Want]) -> bool:
        if not self._refused:
            return False
        now = time.monotonic()
        return any(self._refused.get(want.counter, 0.0) > now for want in wants)


R = TypeVar("R")


def replayed(rule: R, replay: Replay) -> R:
    """A rule that counts, as it is in a replay: with rows of its own, and no store."""
    twin: Any = copy.copy(rule)
    twin._counting = twin._counting.replayed(replay, twin._asked)  # noqa: SLF001 - the rules of this folder count alike
    twin.kept = twin._counting.kept  # noqa: SLF001
    twin.per_process, twin.uses_network = True, False
    return twin  # type: ignore[no-any-return]  # a copy of what was given


def _for_rehearsals(ask: Ask) -> Ask:
    def wants(now: int) -> Sequence[Want]:
        asked = ask(now)
        counters = [want.counter for want in asked]
        return [want.for_rehearsals(counters.count(want.counter)) for want in asked]

    return wants


class Count:
    """Door step: all rows of the message are taken together, or none."""

    __slots__ = ("_ask", "_message", "_rule", "_taken", "phase", "store")

    def __init__(self, rule: Counting, ask: Ask, message: Message, /) -> None:
        self.phase: str = "shared" if rule.tally.blocks else "reserve"
        self.store: object = rule.tally.place
        self._rule = rule
        self._ask = ask
        self._message = message
        self._taken: tuple[str, Ask, int] | None = None

    async def commit(self, sealed: Sealed, peers: Sequence[Any], io: Io, /) -> None:  # noqa: ARG002 - recipients stay
        """
        Take for this step and its peers.

        Raises:
            Deferred: A rule has no room now.
            Blocked: It never has, for this message.
            Unavailable: The store does not answer.
        """
        steps: list[Count] = [self, *peers]
        asks = [step._ask for step in steps]  # noqa: SLF001 - same class

        def ask(now: int) -> Sequence[Want]:
            return [want for one in asks for want in one(now)]

        tally, now, grant = self._rule.tally, self._rule.now(io), secrets.token_hex(12)
        self._taken = (grant, ask, now)
        full = await io.ask(blocking=lambda: tally.take(grant, ask, now)) if tally.blocks else tally.take(grant, ask, now)
        if full is None:
            return
        self._taken = None
        number = full.number
        for step in steps:
            own = len(step._ask(now))  # noqa: SLF001 - same class
            if number < own:
                step._rule.refuse(Full(number, full.free_at), step._ask, now, step._message, step._rule.says)  # noqa: SLF001
            number -= own

    async def undo(self, io: Io, /) -> None:
        """Give back what was taken, or may have been."""
        taken, self._taken = self._taken, None
        if taken is None:
            return
        tally = self._rule.tally
        if tally.blocks:
            await io.ask(blocking=lambda: tally.give_back(*taken))
        else:
            tally.give_back(*taken)

    def settle(self, outcome: Outcome, /) -> None:
        """What was taken stays taken, whatever became of the send."""
