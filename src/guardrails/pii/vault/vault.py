"""`Vault`: where tokens resolve, for one subject of one tenant and nobody else."""

from __future__ import annotations

import math
from collections.abc import Callable, Collection, Iterable
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, final

from guardrails.errors import ConfigError
from guardrails.keys import Keys
from guardrails.pii.failures import wordless
from guardrails.pii.vault.addresses import SUBJECT, Addresses, place_of
from guardrails.pii.vault.belongings import Belongings
from guardrails.pii.vault.person import Person
from guardrails.pii.vault.restorer import Restorer
from guardrails.pii.vault.rows import Rows
from guardrails.pii.vault.scope import load
from guardrails.pii.vault.session import Session
from guardrails.pii.vault.storage import is_remote, open_store

if TYPE_CHECKING:
    from guardrails.core.message import Message

_DAYS_30: Final = 30 * 86_400.0


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
        if keep_seconds is not None and not (_is_number(keep_seconds) and keep_seconds > 0):
            raise ConfigError("Vault(keep_seconds=...) takes seconds above 0, or None for ever")
        if type(most_values) is not int or most_values < 1:
            raise ConfigError("Vault(most_values=...) takes an int of at least 1")
        if isinstance(plaintext_hosts, str):
            raise ConfigError("Vault(plaintext_hosts=...) takes a list of hosts")
        if keys is None:
            keys = Keys.ephemeral() if storage == "memory://" else Keys.default()
        if (is_remote(storage) or is_remote(keys_in or "memory://")) and (keys.auto_created or keys.ephemeral_only):
            raise ConfigError("a vault on a server needs a key of yours: set GUARDRAILS_KEY or pass keys=")
        if keys_in == "memory://" != storage:
            raise ConfigError("Vault(keys_in=...): keys that end with this process would make the values useless after it")
        load()
        store = open_store(storage, plaintext_hosts)
        self._keys = keys
        self._durable = storage != "memory://"
        self.most_values: Final = most_values
        self._rows = Rows(
            keys,
            store,
            store if keys_in is None else open_store(keys_in, plaintext_hosts),
            keep_seconds=math.inf if keep_seconds is None else float(keep_seconds),
            most=most_values,
            clock=clock,
        )
        self._addresses = Addresses(self._rows)
        self._belongings = Belongings(self._rows)

    @wordless
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
        if not isinstance(text, str):
            raise ConfigError(f"vault.restore(text) takes a str, not {type(text).__name__}")
        restorer = Restorer(self.session(subject, tenant=tenant), links=links)
        return restorer.feed(text) + restorer.flush()

    def session(self, subject: str, *, tenant: str | None = None, dry: bool = False) -> Session:
        """The tokens of one subject; with *dry* nothing is written."""
        _check_words(subject=subject, tenant=tenant)
        return Session(self._rows, lambda: SUBJECT + subject, tenant, dry=dry)

    @wordless
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
            ConfigError: *expires* has no time zone, or *address* is blank.
            Unavailable: The store failed, or the subject has 10,000 links.
        """
        _check_words(address=address, subject=subject, tenant=tenant)
        _check_expiry("link", expires)
        place = place_of(address)
        if not place.strip() or place == place_of("conversation:"):
            raise ConfigError("vault.link(address) takes an address, or conversation:ID")
        self._addresses.link(place, tenant, subject=SUBJECT + subject, verified=bool(verified), expires=expires)

    @wordless
    def unlink(self, address: str, *, tenant: str | None = None) -> None:
        """Forget whose address this is."""
        _check_words(address=address, tenant=tenant)
        self._addresses.unlink(place_of(address), tenant)

    @wordless
    def linked(self, address: str, tenant: str | None) -> tuple[str, bool] | None:
        """Whose address this is, as the vault knows them, and whether that was verified."""
        return self._addresses.linked(place_of(address), tenant)

    @wordless
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
            ConfigError: *values* is no collection of str, or *expires* has no time zone.
            Unavailable: The store failed, or the subject has `most_values` of them.
        """
        _check_words(subject=subject, tenant=tenant)
        _check_expiry("own", expires)
        values = [] if isinstance(values, str) or not isinstance(values, Iterable) else list(values)
        if not values or not all(isinstance(one, str) and one.strip() for one in values):
            raise ConfigError('vault.own(subject, ["Ann", "+12125550173"]) takes a list of non-empty str')
        until = math.inf if expires is None else expires.timestamp()
        self._belongings.own(SUBJECT + subject, values, tenant, until=until)

    def owners(self, value: str, tenant: str | None) -> set[str]:
        """Ids, which say nothing else, of those that a value belongs to."""
        return self._belongings.owners(value, tenant)

    @wordless
    def forget(self, subject: str, *, tenant: str | None = None) -> int:
        """
        Delete all of a subject: key, values, links and what is known as theirs. Returns the number of rows.

        Their tokens stay unresolved in every text, and what older copies of the store hold can no longer be read.
        """
        _check_words(subject=subject, tenant=tenant)
        return self._forgotten(SUBJECT + subject, tenant)

    @wordless
    def forget_address(self, address: str, *, tenant: str | None = None) -> int:
        """
        Forget whose address this is, and what is kept of it: of the address alone, or of the subject whose verified one it is.

        Returns:
            The number of rows.
        """
        _check_words(address=address, tenant=tenant)
        whom = self._addresses.stands_for(place_of(address), tenant)
        gone = 0 if whom is None else self._forgotten(whom, tenant)
        self._addresses.unlink(place_of(address), tenant)
        return gone

    def _forgotten(self, whom: str, tenant: str | None) -> int:
        known = self._belongings.forget(whom, tenant) + self._addresses.forget(whom, tenant)
        return known + sum(map(self._rows.removed, self._rows.groups(tenant, "s", whom)))

    @wordless
    def values(self, subject: str, *, tenant: str | None = None) -> list[tuple[str, str]]:
        """
        All that is kept of a subject, for who asks for their own data: entity and value of each token.

        Raises:
            Unavailable: The store failed.
            ControlError: A row was altered.
        """
        _check_words(subject=subject, tenant=tenant)
        return self._values(SUBJECT + subject, tenant)

    @wordless
    def values_of_address(self, address: str, *, tenant: str | None = None) -> list[tuple[str, str]]:
        """
        As `values`, of the address alone, or of the subject whose verified one it is.

        Raises:
            Unavailable: The store failed.
            ControlError: A row was altered.
        """
        _check_words(address=address, tenant=tenant)
        whom = self._addresses.stands_for(place_of(address), tenant)
        return [] if whom is None else self._values(whom, tenant)

    def _values(self, whom: str, tenant: str | None) -> list[tuple[str, str]]:
        rows = self._rows
        opened = [
            scope.opened(code, row)
            for scope in rows.scopes(whom, tenant)
            for code in rows.codes(scope)
            if (row := rows.row(scope.group, code)) is not None
        ]
        return [(value.entity, value.text) for value in opened if value is not None]

    def destroy(self, tenant: str | None) -> int:
        """Delete everything of a tenant. Returns the number of rows."""
        _check_words(tenant=tenant)
        return self._rows.destroyed(tenant)

    def open(self) -> None:
        """
        Ask the store whether it was made with this key.

        Raises:
            ConfigError: It was not.
            Unavailable: It does not answer.
        """
        self._rows.ready()

    def close(self) -> None:
        """Let go of files and connections; the next use opens them again."""
        for store in self._rows.stores():
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

    @property
    def blocks(self) -> bool:
        """Whether a call may wait for a disk or a network."""
        return any(store.blocks for store in self._rows.stores())

    def person(self, message: Message, *, dry: bool) -> Person:
        """Whoever *message* is about; asked when it matters first. With *dry* nothing is written."""
        about = self._addresses.about(message)
        session = Session(self._rows, lambda: about().subject, message.tenant, dry=dry)
        return Person(session, about, self._belongings, message)

    def __repr__(self) -> str:
        rows = self._rows
        return f"Vault({type(rows.store).__name__}, keep_seconds={rows.keep_seconds:g}, most_values={rows.most})"


def _check_words(**words: str | None) -> None:
    for name, word in words.items():
        if (word is None and name != "tenant") or (word is not None and (not isinstance(word, str) or not word)):
            raise ConfigError(f"{name} takes a non-empty str")


def _check_expiry(asked: str, expires: object) -> None:
    if expires is not None and not (isinstance(expires, datetime) and expires.tzinfo is not None):
        raise ConfigError(
            f"vault.{asked}(expires=...) takes an aware datetime, such as datetime.now(UTC) + timedelta(days=1)"
        )


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)
