"""What a vault keeps of each subject, and for how long."""

from __future__ import annotations

import math
import secrets
from collections.abc import Callable
from datetime import datetime
from typing import TYPE_CHECKING, Final, final

from guardrails.errors import ConfigError, Unavailable
from guardrails.pii.vault.scope import (
    KEY_BYTES,
    Scope,
    Value,
    digests,
    groups,
    seal,
    tenant_groups,
    unseal,
    wrapping_keys,
)
from guardrails.pii.vault.store import FullError, Store

if TYPE_CHECKING:
    from guardrails.keys import Keys

KEY: Final = "key"
# Of the two times that a value is kept, one is left after the key was renewed last: a key outlives the values under it.
_KEY_OUTLIVES: Final = 2


class KeyGoneError(Exception):
    """A subject's key expired, or was forgotten, while somebody held it."""


@final
class Rows:
    """
    Rows of subjects, in groups whose names say nothing.

    Args:
        keys: The master key.
        store: Of values.
        key_store: Of the subjects' keys; the same, or another.
        keep_seconds: How long a value is kept after it was last masked; infinite for ever.
        most: Values of one subject.
        clock: The time, aware.
    """

    __slots__ = ("_checked", "_clock", "_keys", "keep_seconds", "key_store", "most", "store")

    def __init__(
        self,
        keys: Keys,
        store: Store,
        key_store: Store,
        *,
        keep_seconds: float,
        most: int,
        clock: Callable[[], datetime],
    ) -> None:
        self._keys = keys
        self.store: Final = store
        self.key_store: Final = key_store
        self.keep_seconds: Final = keep_seconds
        self.most: Final = most
        self._clock = clock
        self._checked = False

    def now(self) -> float:
        """Seconds since 1970."""
        return self._clock().timestamp()

    def ready(self) -> None:
        """
        Ask the stores, once, whether they were made with this key.

        Raises:
            ConfigError: One was not.
            Unavailable: One does not answer.
        """
        if not self._checked:
            self._check()
            self._checked = True

    def _check(self) -> None:
        expected = digests(self._keys, "check", None, "1")
        for store in self.stores():
            row, _ = store.add("about", "check", expected[0].encode(), until=math.inf, now=self.now(), most=1)
            if row.decode("ascii", "replace") not in expected:
                raise ConfigError(
                    "the vault's storage was made with another key: pass that one, also as an old key of keys="
                )
            if row != expected[0].encode():
                store.put("about", "check", expected[0].encode(), until=math.inf, now=self.now())

    def stores(self) -> list[Store]:
        """The stores; keys first, so that what is left after a failure cannot be read."""
        return [self.store] if self.key_store is self.store else [self.key_store, self.store]

    def groups(self, tenant: str | None, kind: str, *data: str) -> list[str]:
        """Names of the groups of *data*, each under every master key, newest first."""
        self.ready()
        return groups(self._keys, tenant, kind, *data)

    def wrapping_keys(self, tenant: str | None) -> list[bytes]:
        """The keys that seal what belongs to *tenant*, newest first."""
        return wrapping_keys(self._keys, tenant)

    def scopes(self, subject: str, tenant: str | None) -> list[Scope]:
        """
        The rows of a subject, newest master key first.

        Several, where processes with different lists of keys met the subject at the same time.
        """
        found = []
        wrapping = wrapping_keys(self._keys, tenant)
        for group in self.groups(tenant, "s", subject):
            row = self.key_store.get(group, KEY, now=self.now())
            if row is not None:
                found.append(Scope(group, unseal(wrapping, row[0], group), row[1]))
        return found

    def made(self, subject: str, tenant: str | None, *, dry: bool) -> Scope:
        """New rows for a subject, or those that somebody else made meanwhile; with *dry* nothing is written."""
        group = self.groups(tenant, "s", subject)[0]
        wrapping = wrapping_keys(self._keys, tenant)
        key = secrets.token_bytes(KEY_BYTES)
        if dry:
            return Scope(group, key)
        if any(store.get("about", "check", now=self.now()) is None for store in self.stores()):
            self._check()  # again: a server that was emptied meanwhile has forgotten whose it is
        box = seal(wrapping[0], key, group)
        now = self.now()
        row = self.key_store.add(group, KEY, box, until=self._key_until(now), now=now, most=self.most + 1)
        return Scope(group, unseal(wrapping, row[0], group), row[1])

    def kept(self, scope: Scope, code: str, value: Value) -> bytes:
        """
        The row of a token, which is *value*'s if there was none.

        Raises:
            KeyGoneError: The subject's key is not there any more.
            Unavailable: The store failed, or there are too many values.
        """
        now = self.now()
        until = now + self.keep_seconds
        if scope.until < until and not self.key_store.renew(scope.group, KEY, until=self._key_until(now), now=now):
            raise KeyGoneError
        most = self.most + (self.key_store is self.store)  # the subject's own key is a row too
        row, ends = self.add(scope.group, code, scope.sealed(code, value), until=until, most=most)
        if ends - now < self.keep_seconds / 2:
            self.store.renew(scope.group, code, until=until, now=now)
        return row

    def add(self, group: str, key: str, value: bytes, *, until: float, most: int) -> tuple[bytes, float]:
        """
        As `Store.add`.

        Raises:
            Unavailable: The store failed, or there are too many rows.
        """
        try:
            return self.store.add(group, key, value, until=until, now=self.now(), most=most)
        except FullError:
            pass
        raise Unavailable(
            f"the vault holds {most} values of one subject, or as many links or owners, and no live one is dropped: "
            "raise Vault(most_values=...), shorten keep_seconds=, or forget the subject"
        )

    def codes(self, scope: Scope) -> list[str]:
        """Of the tokens of a subject."""
        return [key for key in self.store.keys([scope.group], now=self.now()) if key != KEY]

    def row(self, group: str, key: str) -> bytes | None:
        """A row, if it is there."""
        row = self.store.get(group, key, now=self.now())
        return None if row is None else row[0]

    def removed(self, prefix: str) -> int:
        """Delete every group whose name begins with *prefix*; how many rows that were."""
        return sum(store.remove_groups(prefix) for store in self.stores())

    def destroyed(self, tenant: str | None) -> int:
        """Delete all of a tenant; how many rows that were."""
        self.ready()
        return sum(map(self.removed, tenant_groups(self._keys, tenant)))

    def _key_until(self, now: float) -> float:
        return now + _KEY_OUTLIVES * self.keep_seconds

    def __repr__(self) -> str:
        return f"Rows({type(self.store).__name__})"


def id_of(group: str) -> str:
    """What a subject's group is called where others name it."""
    return group.rstrip("/").rsplit("/", 1)[1]
