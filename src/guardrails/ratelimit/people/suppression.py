"""
`Suppression`: whoever has opted out gets nothing.

Asked on the way in, before anything else is looked at, and again at the door: a STOP may have arrived meanwhile. When the
list cannot be asked nothing is sent. What is kept of a person is a keyed digest.
"""

from __future__ import annotations

import copy
import re
from collections.abc import Collection, Iterable, Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from guardrails import address
from guardrails.core.message import Message
from guardrails.core.trial import Trial
from guardrails.errors import Blocked, ConfigError
from guardrails.keys import Keys
from guardrails.ratelimit.people.asked import AskAgain, Listed
from guardrails.ratelimit.people.classes import ClassOf, class_of, read_classes
from guardrails.ratelimit.people.optouts import MemoryOptOuts, OptOut, OptOutStore
from guardrails.ratelimit.people.person import joined, people, person, place
from guardrails.ratelimit.people.stopwords import is_stop
from guardrails.ratelimit.people.storage import MEMORY, digester_for, file_of, server_of

if TYPE_CHECKING:
    from guardrails.core.call import Call
    from guardrails.core.control import Forward, Io, Reply
    from guardrails.ratelimit.replay import Replay

_SOURCE: Final = re.compile(r"[A-Za-z0-9._:-]{1,64}", re.ASCII)
_DIGEST: Final = re.compile(r"hmac-sha256:[0-9a-f]{12}:[A-Za-z0-9_-]{43}", re.ASCII)
_CANARY: Final = "canary"  # what is planted is under names of rehearsals, which are no addresses
_AT_ONCE: Final = 1_000


class Suppression:
    """
    The list of people who have opted out, and the control that asks it.

    Put it right after the audit log, before all other limits.

    Args:
        store: `"memory://"`, `"sqlite:///path"`, a Redis or Valkey server as for `RateLimit`, or an `OptOutStore` of yours.
        keys: Key of the digests; `Keys.default()` unless the list is in memory. Old keys must stay listed: a digest cannot
            be made anew under another key without the address.
        region: ISO 3166 country of numbers in national spelling, such as "US"; without it they are refused.
        opaque_ids: Take recipients that are no phone number and no e-mail address as they are (ids of a chat). Without it
            they are refused, for nobody could find them on the list for sure.
        exempt: Message classes that go out all the same, such as the one confirmation of an opt-out; each is recorded.
        message_class: The class of a message; without it see `guardrails.ratelimit.message_class`.
        timeout_seconds: How long one question to a server may take, at most 0.9.
        max_connections: Connections to it at once.
        plaintext_hosts: Hosts other than loopback that may be asked without TLS.
        name: How errors and records call it.

    Raises:
        ConfigError: An argument is wrong, or a kept list has no key that is kept.

    >>> suppression = Suppression("memory://")
    >>> suppression.heard("STOP", sender="+1 212 555 0173", channel="sms")
    True
    >>> suppression.has("+12125550173", channel="sms")
    True
    """

    kind: Final = "limit"
    needs: Final = ("recipient",)
    timeless: Final = True  # what it answers does not depend on the time

    def __init__(
        self,
        store: str | OptOutStore = MEMORY,
        *,
        keys: Keys | None = None,
        region: str | None = None,
        opaque_ids: bool = False,
        exempt: Collection[str] = (),
        message_class: ClassOf | None = None,
        timeout_seconds: float = 0.9,
        max_connections: int = 4,
        plaintext_hosts: Collection[str] = (),
        name: str = "suppression",
    ) -> None:
        address.load()
        self.name = name
        self._region = region
        self._opaque_ids = opaque_ids
        self._exempt = read_classes(exempt, "Suppression(exempt=...)")
        self._message_class = message_class
        self._digester = digester_for(store, keys, "suppression", rule="Suppression")
        self._key_ids = frozenset(label.split(":")[1] for label in self._digester.all_labels(""))
        self._store: OptOutStore
        if not isinstance(store, str):
            if not callable(getattr(store, "opted_out", None)):
                raise ConfigError("Suppression: store is an address, or an object with the methods of OptOutStore")
            self._store = store
        elif store == MEMORY:
            self._store = MemoryOptOuts(self._digester.key_id)
        elif path := file_of(store):
            from guardrails.ratelimit.people.optouts_file import SqliteOptOuts  # noqa: PLC0415

            self._store = SqliteOptOuts(path)
        else:
            server = server_of(
                store, rule="Suppression", timeout_seconds=timeout_seconds,
                max_connections=max_connections, plaintext_hosts=plaintext_hosts,
            )  # fmt: skip
            from guardrails.ratelimit.people.optouts_server import ServerOptOuts  # noqa: PLC0415

            self._store = ServerOptOuts(server)

    def with_rules(
        self,
        *,
        region: str | None = None,
        opaque_ids: bool = False,
        exempt: Collection[str] = (),
        message_class: ClassOf | None = None,
    ) -> Suppression:
        """
        Other rules over the same list.

        Raises:
            ConfigError: *exempt* holds something else than names.
        """
        twin = copy.copy(self)
        twin._region = region  # noqa: SLF001 - same class
        twin._opaque_ids = opaque_ids  # noqa: SLF001
        twin._exempt = read_classes(exempt, "Suppression(exempt=...)")  # noqa: SLF001
        twin._message_class = message_class  # noqa: SLF001
        return twin

    # -- the control -----------------------------------------------------------------------------------------------------

    async def guard(self, call: Call, forward: Forward, io: Io, /) -> Reply:
        """Refuse whoever is on the list; ask again at the door."""
        message = call.message
        if call.canary is None:
            if message.direction == "inbound":  # nobody is sent anything
                call.note("allow", detail={"inbound": True})
                return await forward(call)
            kind = class_of(message, self._message_class)
            if kind is not None and kind in self._exempt:
                call.note("allow", detail={"exempt": kind})
                return await forward(call)
        await self.ask(message, io, canary=call.canary)
        call.note("allow")
        if not call.dry_run:
            call.at_door(AskAgain(self, message, call.canary, self._store))
        return await forward(call)

    @property
    def refuses_rehearsal(self) -> Trial:
        """An opt-out of a name that is a rehearsal's, and of nobody."""
        return Trial(rehearsals=1, planted=self._planted)

    @contextmanager
    def _planted(self, canary: str, message: Message) -> Iterator[None]:
        labels = [self._digester.label(joined(_CANARY, canary, who)) for who in self._people(message)]
        since = datetime.now(UTC).isoformat(timespec="seconds")
        self._store.add([OptOut(label, since, "canary") for label in labels])
        try:
            yield
        finally:
            self._store.remove(labels)

    def replayed(self, replay: Replay, /) -> Listed:
        """The list as it is now, which is asked and not changed."""
        del replay  # who had opted out at the times of a corpus is known to nobody
        return Listed(self)

    async def ask(self, message: Message, io: Io, *, canary: str | None = None) -> None:
        """
        Refuse *message* if a recipient has opted out.

        Args:
            message: The message.
            io: What waits for the list.
            canary: Name of the rehearsal that it is: then only what was planted for it counts.

        Raises:
            Blocked: Somebody has.
            Denied: A recipient is no address.
            Unavailable: The list cannot be asked.
        """
        each: list[Sequence[str]]
        if canary is None:
            each = [self._labels(one, message.tenant, message.channel) for one in self._people(message)]
        else:
            each = [self._digester.all_labels(joined(_CANARY, canary, one)) for one in self._people(message)]
        asked = [label for labels in each for label in labels]
        store = self._store
        if store.blocks:
            found = await io.ask(blocking=lambda: store.opted_out(asked, self._key_ids))
        else:
            found = store.opted_out(asked, self._key_ids)
        if not found:
            return
        for position, labels in enumerate(each, 1):
            if not set(found).isdisjoint(labels):
                raise Blocked(f"recipient {place(position, message)} has opted out", findings={"OPTED_OUT": 1})
        raise Blocked("a recipient has opted out", findings={"OPTED_OUT": 1})  # a store of somebody's own says so

    def _people(self, message: Message) -> list[str]:
        return people(message, region=self._region, opaque_ids=self._opaque_ids)

    def _labels(self, who: str, tenant: str | None, channel: str) -> list[str]:
        """Every entry that would hold for this person: of this tenant or all, of this channel or all, under every key."""
        scopes = dict.fromkeys((one, where) for one in (tenant, None) for where in (channel, None))
        return [label for scope in scopes for label in self._digester.all_labels(joined(who, *scope))]

    # -- the list --------------------------------------------------------------------------------------------------------

    def create(self) -> None:
        """Make the list where there is none. Without a list nothing is sent; in memory there always is one."""
        self._store.create(self._digester.key_id)

    def add(self, recipient: str, *, tenant: str | None = None, channel: str | None = None, source: str = "added") -> bool:
        """
        Somebody opts out.

        Args:
            recipient: The address.
            tenant: Of whose messages; None of everybody's.
            channel: On which channel; None on all.
            source: How it became known, for the list: letters, digits and `._:-`.

        Returns:
            Whether it is new.

        Raises:
            ConfigError: *recipient* is no address, or *source* is not as above.
        """
        return self.load([recipient], tenant=tenant, channel=channel, source=source) == 1

    def load(
        self,
        recipients: Iterable[str],
        *,
        tenant: str | None = None,
        channel: str | None = None,
        source: str = "imported",
    ) -> int:
        """
        Many people opt out; the list is made if there is none. Nothing is added if one of them is no address.

        Returns:
            How many are new.
        """
        if not _SOURCE.fullmatch(source):
            raise ConfigError("Suppression: source is 1 to 64 letters, digits or any of . _ : -")
        since = datetime.now(UTC).isoformat(timespec="seconds")
        rows = [
            OptOut(self._digester.label(joined(self._known(one, number), tenant, channel)), since, source)
            for number, one in enumerate(recipients, 1)
        ]
        return self._added(rows)

    def load_rows(self, rows: Iterable[OptOut]) -> int:
        """
        Take back what `rows` gave: a copy of a list that was made under the same keys.

        Raises:
            ConfigError: A row is none, or under a key that is not given here.
        """
        checked = []
        for number, (digest, since, source) in enumerate(rows, 1):
            if not _DIGEST.fullmatch(digest) or not _SOURCE.fullmatch(source) or not _is_time(since):
                raise ConfigError(f"Suppression: row {number} is not a row of an opt-out list; nothing was added")
            if digest.split(":")[1] not in self._key_ids:
                raise ConfigError(f"Suppression: row {number} was made under another key; nothing was added")
            checked.append(OptOut(digest, since, source))
        for key_id in {row.digest.split(":")[1] for row in checked}:
            self._store.create(key_id)
        return self._added(checked)

    def _added(self, rows: Sequence[OptOut]) -> int:
        self.create()
        return sum(self._store.add(rows[begin : begin + _AT_ONCE]) for begin in range(0, len(rows), _AT_ONCE))

    def remove(self, recipient: str, *, tenant: str | None = None, channel: str | None = None) -> bool:
        """Somebody opts in again, with the same tenant and channel as the opt-out; whether there was one."""
        who = self._known(recipient, 1)
        return self._store.remove(self._digester.all_labels(joined(who, tenant, channel))) > 0

    def has(self, recipient: str, *, tenant: str | None = None, channel: str) -> bool:
        """Whether a message of *tenant* on *channel* to *recipient* would be refused."""
        return bool(self._store.opted_out(self._labels(self._known(recipient, 1), tenant, channel), self._key_ids))

    def heard(
        self, text: str, *, sender: str, channel: str, tenant: str | None = None, language: str | None = None
    ) -> bool:
        """
        Somebody wrote *text*: if it is a stop word, they opt out of all channels of the tenant.

        Call it for every message that comes in, before anything answers it.

        Returns:
            Whether it was one.
        """
        if not is_stop(text, channel=channel, language=language):
            return False
        self.add(sender, tenant=tenant, source=f"stop-word:{channel}" if _SOURCE.fullmatch(channel) else "stop-word")
        return True

    def rows(self) -> Iterator[OptOut]:
        """The whole list: digests, never addresses."""
        return self._store.rows()

    def close(self) -> None:
        """Let go of files and connections; a later question opens new ones."""
        self._store.close()

    def _known(self, recipient: str, number: int) -> str:
        who = person(recipient, region=self._region, opaque_ids=self._opaque_ids)
        if who is None:
            raise ConfigError(
                f"Suppression: entry {number} is neither a phone number with + nor an e-mail address; "
                'nothing was added; give region="US" for national numbers, or opaque_ids=True for ids'
            )
        return who

    def __repr__(self) -> str:
        return f"Suppression({type(self._store).__name__})"


def _is_time(text: str) -> bool:
    try:
        return datetime.fromisoformat(text).tzinfo is not None
    except ValueError:
        return False
