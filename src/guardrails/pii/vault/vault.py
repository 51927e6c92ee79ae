"""`Vault`: where tokens resolve, for one subject of one tenant and nobody else."""

from __future__ import annotations

import json
import math
import secrets
from collections.abc import Callable, Collection
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Final, final

from guardrails.address import normalise
from guardrails.errors import Blocked, ConfigError, ControlError
from guardrails.keys import Keys
from guardrails.pii.failures import SpeakableError
from guardrails.pii.vault.scope import (
    KEY_BYTES,
    Scope,
    Value,
    digests,
    groups,
    seal,
    spellings,
    tenant_groups,
    unseal,
    wrapping_keys,
)
from guardrails.pii.vault.session import Restorer, Session
from guardrails.pii.vault.storage import is_remote, open_store
from guardrails.pii.vault.store import Store

if TYPE_CHECKING:
    from guardrails.core.message import Message

_DAYS_30: Final = 30 * 86_400.0
_KEY: Final = "key"
_OWNS: Final = "own:"
_LINKED: Final = "link:"
_TO: Final = "to"
_SUBJECT: Final = (
    "subject:"  # and the id that a team gave; else whom a message is about is "address:..." or "conversation:..."
)
_ADDRESS: Final = "address:"  # whoever is known by an address alone
_NO_SUBJECT: Final = "nobody says whose data this is: the call needs a recipient or a conversation"


@final
class Vault:
    """
    Keeps the values behind tokens, encrypted, each for one subject of one tenant.

    Args:
        storage: `"memory://"`, `"sqlite:///PATH"`, or a server (extra `redis`): `"redis://HOST:PORT/DB"`, `"rediss://..."` (TLS),
            `"redis+unix:///PATH"`, or the same with `valkey`.
        keys: The master key. Left out: a random one for memory, the key of this machine for a file. A server that
            several machines share needs one that you chose.
        keep_seconds: How long a value is kept after it was last masked; None for ever. Tokens of values that are still in
            use are renewed.
        most_values: Of one subject. When they are reached, messages with new values are refused: no live one is dropped.
        keys_in: Another storage for the subjects' keys. What `forget` deletes there can no longer be read in any copy of
            *storage*: keep backups of *storage* only.
        plaintext_hosts: Servers that may be asked without TLS, besides this machine.
        clock: The time, aware; for tests.

    Raises:
        ConfigError: An argument is wrong, or the storage was made with another key.
    """

    def __init__(
        self,
        storage: str = "memory://",
        *,
        keys: Keys | None = None,
        keep_seconds: float | None = _DAYS_30,
        most_values: int = 10_000,
        keys_in: str | None = None,
        plaintext_hosts: Collection[str] = (),
        clock: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        if keys is not None and not isinstance(keys, Keys):
            raise ConfigError(f"Vault(keys=...) takes Keys, such as Keys.from_text(...), not {type(keys).__name__}")
        if keep_seconds is not None and not keep_seconds > 0:
            raise ConfigError("Vault(keep_seconds=...) takes seconds above 0, or None for ever")
        if type(most_values) is not int or most_values < 1:
            raise ConfigError("Vault(most_values=...) takes an int of at least 1")
        if keys is None:
            keys = Keys.ephemeral() if storage == "memory://" else Keys.default()
        if (is_remote(storage) or is_remote(keys_in or "memory://")) and (keys.auto_created or keys.ephemeral_only):
            raise ConfigError("a vault on a server needs a key of yours: set GUARDRAILS_KEY or pass keys=")
        self.most_values: Final = most_values
        self._keys = keys
        self._keep = math.inf if keep_seconds is None else float(keep_seconds)
        self._clock = clock
        if keys_in == "memory://" != storage:
            raise ConfigError("Vault(keys_in=...): keys that end with this process would make the values useless after it")
        self._store = open_store(storage, plaintext_hosts)
        self._key_store = self._store if keys_in is None else open_store(keys_in, plaintext_hosts)
        self._durable = storage != "memory://"
        self._checked = False

    # -- for everybody -------------------------------------------------------------------------------------------------

    def restore(self, text: str, /, *, subject: str, tenant: str | None = None, links: bool = False) -> str:
        """
        *text* with the tokens of this subject turned back. All others, and invented ones, stay as they are.

        Args:
            text: What came back.
            subject: Whose tokens.
            tenant: Of which tenant.
            links: Also inside of web addresses, other than those that the value came from.

        Raises:
            Unavailable: The store failed.
            ControlError: A row was altered.
        """
        restorer = Restorer(self.session(subject, tenant=tenant), links=links)
        try:
            return restorer.feed(text) + restorer.flush()
        except SpeakableError as error:
            failure = ControlError(f"{error}; nothing was restored")
        raise failure

    def session(self, subject: str, *, tenant: str | None = None, dry: bool = False) -> Session:
        """The tokens of one subject; with *dry* nothing is written."""
        _check_words(subject=subject, tenant=tenant)
        return Session(self, lambda make: self.scope(_SUBJECT + subject, tenant, make=make, dry=dry), dry=dry)

    def link(
        self,
        address: str,
        *,
        subject: str,
        tenant: str | None = None,
        verified: bool = False,
        expires: datetime | None = None,
    ) -> None:
        """
        Say that an address, or a conversation, is this subject's: one person, one set of tokens, on every channel.

        Args:
            address: In any spelling, such as `"whatsapp:+12125550173"`; or `"conversation:ID"`.
            subject: Your id of the person.
            tenant: Of which tenant.
            verified: Whether the person proved to hold the address; their own data goes to no other (`own="keep"`).
            expires: Until when (aware); numbers change hands.

        Raises:
            ConfigError: *expires* has no time zone.
            Unavailable: The store failed.
        """
        _check_words(address=address, subject=subject, tenant=tenant)
        if expires is not None and expires.tzinfo is None:
            raise ConfigError(
                "vault.link(expires=...) takes an aware datetime, such as datetime.now(UTC) + timedelta(days=1)"
            )
        until = math.inf if expires is None else expires.timestamp()
        group = groups(self._keys, tenant, "l", _place_of(address))[0]
        data = json.dumps([_SUBJECT + subject, bool(verified)]).encode("ascii")
        self._ready()
        scope = self.scope(_SUBJECT + subject, tenant, make=True, dry=False)
        assert scope is not None  # noqa: S101 - made
        self._store.put(scope.group, _LINKED + group, b"", until=until, now=self._now())
        self._store.put(group, _TO, seal(wrapping_keys(self._keys, tenant)[0], data, group), until=until, now=self._now())

    def unlink(self, address: str, *, tenant: str | None = None) -> None:
        """Forget whose address this is."""
        _check_words(address=address, tenant=tenant)
        self._ready()
        for group in groups(self._keys, tenant, "l", _place_of(address)):
            self._store.remove(group, _TO)

    def own(
        self,
        subject: str,
        values: Collection[str],
        *,
        tenant: str | None = None,
        expires: datetime | None = None,
    ) -> None:
        """
        Say that these values belong to this subject. Only keyed digests of them are kept.

        Args:
            subject: Your id of the person.
            values: Names, numbers, addresses: each as it could be found in a text.
            tenant: Of which tenant.
            expires: Until when (aware).

        Raises:
            ConfigError: *values* is no collection of str.
            Unavailable: The store failed.
        """
        _check_words(subject=subject, tenant=tenant)
        if isinstance(values, str) or not all(isinstance(one, str) and one.strip() for one in values):
            raise ConfigError('vault.own(subject, ["Ann", "+12125550173"]) takes a list of non-empty str')
        until = math.inf if expires is None else expires.timestamp()
        self._ready()
        scope = self.scope(_SUBJECT + subject, tenant, make=True, dry=False)
        assert scope is not None  # noqa: S101 - made
        for spelling in {spelling for value in values for spelling in spellings(value, asked=False)}:
            group = groups(self._keys, tenant, "o", spelling)[0]
            self._store.put(scope.group, _OWNS + group, b"", until=until, now=self._now())
            self._store.put(group, _id_of(scope.group), b"", until=until, now=self._now())

    def forget(self, subject: str, *, tenant: str | None = None) -> int:
        """
        Delete all of a subject: key, values, links and what is known as theirs. Returns the number of rows.

        Their tokens stay unresolved in every text, and what older copies of the store hold can no longer be read.
        """
        _check_words(subject=subject, tenant=tenant)
        return self._forgotten(_SUBJECT + subject, tenant)

    def forget_address(self, address: str, *, tenant: str | None = None) -> int:
        """
        Forget whose address this is, and what is kept of it: of the address alone, or of the subject whose verified one it is.

        Returns:
            The number of rows.
        """
        _check_words(address=address, tenant=tenant)
        whom = self._whom(address, tenant)
        gone = 0 if whom is None else self._forgotten(whom, tenant)
        self.unlink(address, tenant=tenant)
        return gone

    def _whom(self, address: str, tenant: str | None) -> str | None:
        """Whom an address stands for: by a verified link, or itself as long as there is none."""
        link = self.linked(address, tenant)
        if link is None:
            return _ADDRESS + _place_of(address)
        return link[0] if link[1] else None

    def _forgotten(self, whom: str, tenant: str | None) -> int:
        self._ready()
        gone = 0
        for group in groups(self._keys, tenant, "s", whom):
            for key in self._store.keys(group, now=self._now()):
                if key.startswith(_OWNS):
                    self._store.remove(key.removeprefix(_OWNS), _id_of(group))
                elif key.startswith(_LINKED):
                    self._store.remove(key.removeprefix(_LINKED), _TO)
            gone += self._removed(group)
        return gone

    def values(self, subject: str, *, tenant: str | None = None) -> list[tuple[str, str]]:
        """
        All that is kept of a subject, for who asks for their own data: entity and value of each token.

        Raises:
            Unavailable: The store failed.
            ControlError: A row was altered.
        """
        _check_words(subject=subject, tenant=tenant)
        return self._values(_SUBJECT + subject, tenant)

    def values_of_address(self, address: str, *, tenant: str | None = None) -> list[tuple[str, str]]:
        """
        As `values`, of the address alone, or of the subject whose verified one it is.

        Raises:
            Unavailable: The store failed.
            ControlError: A row was altered.
        """
        _check_words(address=address, tenant=tenant)
        whom = self._whom(address, tenant)
        return [] if whom is None else self._values(whom, tenant)

    def _values(self, whom: str, tenant: str | None) -> list[tuple[str, str]]:
        scope = self.scope(whom, tenant, make=False, dry=True)
        found: list[tuple[str, str]] = []
        problem: str | None = None
        if scope is None:
            return found
        for code in self._store.keys(scope.group, now=self._now()):
            row = None if code == _KEY or code.startswith((_OWNS, _LINKED)) else self.row(scope.group, code)
            if row is None:
                continue
            try:
                value = scope.opened(code, row)
            except SpeakableError as error:
                problem = str(error)
                break
            if value is not None:
                found.append((value.entity, value.text))
        if problem is not None:
            del found
            raise ControlError(f"{problem}; nothing was read")
        return found

    def destroy(self, tenant: str | None) -> int:
        """Delete everything of a tenant. Returns the number of rows."""
        _check_words(tenant=tenant)
        self._ready()
        return sum(map(self._removed, tenant_groups(self._keys, tenant)))

    def open(self) -> None:
        """
        Ask the store whether it was made with this key.

        Raises:
            ConfigError: It was not.
            Unavailable: It does not answer.
        """
        self._ready()

    def close(self) -> None:
        """Let go of files and connections; the next use opens them again."""
        for store in self._stores():
            store.close()

    def require_production(self) -> None:
        """
        Refuse a key that nobody chose, and a vault that ends with this process.

        Raises:
            ConfigError: Says which.
        """
        if not self._durable:
            raise ConfigError(
                'production needs a vault that outlives the process: Vault("sqlite:///PATH") or "redis://..."'
            )
        self._keys.require_production()

    # -- for sessions and the mask -------------------------------------------------------------------------------------

    @property
    def blocks(self) -> bool:
        """Whether a call may wait for a disk or a network."""
        return any(store.blocks for store in self._stores())

    def scope(self, subject: str, tenant: str | None, *, make: bool, dry: bool) -> Scope | None:
        """The rows of a subject; None if there are none and none are to be made."""
        self._ready()
        candidates = groups(self._keys, tenant, "s", subject)
        wrapping = wrapping_keys(self._keys, tenant)
        for group in candidates:
            row = self._key_store.get(group, _KEY, now=self._now())
            if row is not None:
                return Scope(group, unseal(wrapping, row[0], group))
        if not make:
            return None
        key = secrets.token_bytes(KEY_BYTES)
        if dry:
            return Scope(candidates[0], key)
        box = seal(wrapping[0], key, candidates[0])
        row = self._key_store.add(candidates[0], _KEY, box, until=math.inf, now=self._now(), most=self.most_values)
        return Scope(candidates[0], unseal(wrapping, row[0], candidates[0]))

    def kept(self, scope: Scope, code: str, value: Value) -> bytes:
        """The row of a token, which is *value*'s if there was none; raises `FullError`."""
        now = self._now()
        most = self.most_values + (self._key_store is self._store)  # the subject's own key is a row too
        row, until = self._store.add(
            scope.group, code, scope.sealed(code, value), until=now + self._keep, now=now, most=most
        )
        if until - now < self._keep / 2:
            self._store.put(scope.group, code, row, until=now + self._keep, now=self._now())
        return row

    def row(self, group: str, code: str) -> bytes | None:
        """The row of a token, if it is there."""
        row = self._store.get(group, code, now=self._now())
        return None if row is None else row[0]

    def linked(self, address: str, tenant: str | None) -> tuple[str, bool] | None:
        """Whose address this is, and whether that was verified."""
        self._ready()
        for group in groups(self._keys, tenant, "l", _place_of(address)):
            row = self._store.get(group, _TO, now=self._now())
            if row is not None:
                subject, verified = json.loads(unseal(wrapping_keys(self._keys, tenant), row[0], group))
                return subject, verified
        return None

    def learn(self, subject: str, values: Collection[str], *, tenant: str | None = None) -> None:
        """
        As `own`, for as long as a value is kept; what is known to be somebody else's is left out.

        Args:
            subject: As `subject_of` answers.
            values: Of theirs.
            tenant: Of which tenant.
        """
        mine = self.ids_of(subject, tenant)
        new = [value for value in values if self.owners(value, tenant) <= mine]
        if new:
            ends = None if math.isinf(self._keep) else self._clock() + timedelta(seconds=self._keep)
            self.own(subject.removeprefix(_SUBJECT), new, tenant=tenant, expires=ends)

    def owners(self, value: str, tenant: str | None) -> set[str]:
        """Ids of those that a value belongs to."""
        self._ready()
        now = self._now()
        places = [group for spelling in spellings(value, asked=True) for group in groups(self._keys, tenant, "o", spelling)]
        return {one for group in places for one in self._store.keys(group, now=now)}

    def ids_of(self, subject: str, tenant: str | None) -> set[str]:
        """Ids that a subject has among the owners of a value."""
        return {_id_of(group) for group in groups(self._keys, tenant, "s", subject)}

    def about(self, message: Message) -> Callable[[], tuple[str, bool]]:
        """As `subject_of`, asked once, when it is needed."""
        known: list[tuple[str, bool]] = []

        def answer() -> tuple[str, bool]:
            if not known:
                known.append(self.subject_of(message))
            return known[0]

        return answer

    def subject_of(self, message: Message) -> tuple[str, bool]:
        """
        Whom a message is about, and whether all its recipients are verified addresses of theirs.

        A linked conversation says it, else the recipients (the sender of an inbound message), else the conversation.

        Raises:
            Blocked: Nobody says it, or the recipients are several people.
        """
        tenant, conversation = message.tenant, message.conversation
        inbound = message.direction == "inbound"
        people = [message.sender] if inbound and message.sender else list(message.recipients)
        known = {person: self.linked(person, tenant) for person in people}
        subjects = {f"{_ADDRESS}{_place_of(one)}" if link is None else link[0] for one, link in known.items()}
        talk = None if conversation is None else self.linked(f"conversation:{conversation}", tenant)
        if talk is not None:
            subjects = {talk[0]}
        elif not subjects and conversation is not None:
            subjects = {f"conversation:{conversation}"}
        if not subjects:
            raise Blocked(_NO_SUBJECT)
        if len(subjects) > 1:
            raise Blocked("the recipients are several people, and a token is one person's: send to each by itself")
        subject = subjects.pop()
        verified = bool(known) and all(link is not None and link == (subject, True) for link in known.values())
        return subject, verified

    def _ready(self) -> None:
        if self._checked:
            return
        expected = digests(self._keys, "check", None, "1")
        for store in self._stores():
            row, _ = store.add("about", "check", expected[0].encode(), until=math.inf, now=self._now(), most=1)
            if row.decode("ascii", "replace") not in expected:
                raise ConfigError(
                    "the vault's storage was made with another key: pass that one, also as an old key of keys="
                )
            if row != expected[0].encode():
                store.put("about", "check", expected[0].encode(), until=math.inf, now=self._now())
        self._checked = True

    def _stores(self) -> list[Store]:
        return [self._store] if self._key_store is self._store else [self._key_store, self._store]

    def _removed(self, prefix: str) -> int:
        """Rows that are gone; keys first, so that what is left after a failure cannot be read."""
        return sum(store.remove_groups(prefix) for store in self._stores())

    def _now(self) -> float:
        return self._clock().timestamp()

    def __repr__(self) -> str:
        return f"Vault({type(self._store).__name__}, keep_seconds={self._keep:g}, most_values={self.most_values})"


def _place_of(address: str) -> str:
    return address if address.startswith("conversation:") else normalise(address).value


def _id_of(group: str) -> str:
    return group.rstrip("/").rsplit("/", 1)[1]


def _check_words(**words: str | None) -> None:
    for name, word in words.items():
        if (word is None and name != "tenant") or (word is not None and (not isinstance(word, str) or not word)):
            raise ConfigError(f"{name} takes a non-empty str")
