"""Whose a value is. Only keyed digests of values are kept."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final, final

from guardrails.pii.vault.rows import id_of
from guardrails.pii.vault.spellings import likenesses, spellings

if TYPE_CHECKING:
    from guardrails.pii.vault.rows import Rows

_OWNED: Final = "owned"
_MOST_OWNERS: Final = 10_000  # of one value


@final
class Belongings:
    """
    What is known to be somebody's.

    Args:
        rows: Where it is kept.
    """

    __slots__ = ("_rows",)

    def __init__(self, rows: Rows) -> None:
        self._rows = rows

    def own(self, subject: str, values: Collection[str], tenant: str | None, *, until: float) -> None:
        """Say that *values* are this subject's, until when and no longer."""
        for value in values:
            self._keep(subject, value, tenant, until=until, shorter=True)

    def learn(self, subject: str, values: Collection[str], tenant: str | None) -> None:
        """As `own`, for as long as a value is kept; what is known to be somebody else's is left out."""
        mine = self.ids_of(subject, tenant)
        until = self._rows.now() + self._rows.keep_seconds
        for value in values:
            if self.owners(value, tenant) | self.likely_owners(value, tenant) <= mine:
                self._keep(subject, value, tenant, until=until, shorter=False)

    def owners(self, value: str, tenant: str | None) -> set[str]:
        """Ids of those that a value belongs to."""
        return self._owners(spellings(value, asked=True), tenant)

    def likely_owners(self, value: str, tenant: str | None) -> set[str]:
        """Ids of those that a value is as good as certainly of, in another form or behind a disguise."""
        return self._owners(likenesses(value, asked=True), tenant)

    def ids_of(self, subject: str, tenant: str | None) -> set[str]:
        """Ids that a subject has among the owners of a value."""
        return {id_of(group) for group in self._rows.groups(tenant, "s", subject)}

    def forget(self, subject: str, tenant: str | None) -> int:
        """Forget what is this subject's; how many values that were."""
        rows = self._rows
        ids = self.ids_of(subject, tenant)
        gone = 0
        for group in rows.groups(tenant, _OWNED, subject):
            for key in rows.store.keys([group], now=rows.now()):
                places = json.loads(rows.row(group, key) or b"[]")
                # This row first: who registers the value meanwhile sees that it is gone.
                rows.store.remove((group, key), *((place, one) for place in places for one in ids))
                gone += 1
        return gone

    def _owners(self, known_by: Sequence[str], tenant: str | None) -> set[str]:
        places = self._rows.groups(tenant, "o", *dict.fromkeys(known_by))
        return set(self._rows.store.keys(places, now=self._rows.now())) if places else set()

    def _keep(self, subject: str, value: str, tenant: str | None, *, until: float, shorter: bool) -> None:
        rows = self._rows
        mine = id_of(rows.groups(tenant, "s", subject)[0])
        known_by = [*spellings(value, asked=False), *likenesses(value, asked=False)]
        places = [rows.groups(tenant, "o", one)[0] for one in known_by]
        owned = rows.groups(tenant, _OWNED, subject)[0]
        name = id_of(rows.groups(tenant, "o", "\0".join(known_by))[0])
        listed = json.dumps(places).encode("ascii")
        self._put(owned, name, listed, until, rows.most, shorter=shorter)
        for place in places:
            self._put(place, mine, b"", until, _MOST_OWNERS, shorter=shorter)
        if rows.row(owned, name) is None:  # forgotten meanwhile: the next `forget` is to find it
            self._put(owned, name, listed, until, rows.most, shorter=shorter)

    def _put(self, group: str, key: str, row: bytes, until: float, most: int, *, shorter: bool) -> None:
        rows = self._rows
        ends = rows.add(group, key, row, until=until, most=most)[1]
        if ends < until or (shorter and ends > until):
            rows.store.put(group, key, row, until=until, now=rows.now())
