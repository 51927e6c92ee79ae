"""Whose a value is. Only keyed digests of values are kept."""

from __future__ import annotations

import json
from collections.abc import Collection, Sequence
from typing import TYPE_CHECKING, Final, final

from guardrails.pii.vault.rows import id_of
from guardrails.pii.vault.spellings import likenesses, spellings

if TYPE_CHECKING:
    from guardrails.pii.vault.rows import Rows

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

    def forget(self, subject: str, tenant: str | None) -> None:
        """Forget what is this subject's."""
        rows = self._rows
        for group in rows.groups(tenant, "s", subject):
            for key in rows.store.keys([_owned_by(group)], now=rows.now()):
                for place in json.loads(rows.row(_owned_by(group), key) or b"[]"):
                    rows.store.remove(place, id_of(group))

    def _owners(self, known_by: Sequence[str], tenant: str | None) -> set[str]:
        places = self._rows.groups(tenant, "o", *dict.fromkeys(known_by))
        return set(self._rows.store.keys(places, now=self._rows.now())) if places else set()

    def _keep(self, subject: str, value: str, tenant: str | None, *, until: float, shorter: bool) -> None:
        group = self._rows.groups(tenant, "s", subject)[0]
        known_by = [*spellings(value, asked=False), *likenesses(value, asked=False)]
        places = [self._rows.groups(tenant, "o", one)[0] for one in known_by]
        name = id_of(self._rows.groups(tenant, "o", "\0".join(known_by))[0])
        self._put(_owned_by(group), name, json.dumps(places).encode("ascii"), until, self._rows.most, shorter=shorter)
        for place in places:
            self._put(place, id_of(group), b"", until, _MOST_OWNERS, shorter=shorter)

    def _put(self, group: str, key: str, row: bytes, until: float, most: int, *, shorter: bool) -> None:
        rows = self._rows
        ends = rows.add(group, key, row, until=until, most=most)[1]
        if ends < until or (shorter and ends > until):
            rows.store.put(group, key, row, until=until, now=rows.now())


def _owned_by(group: str) -> str:
    return f"{group}own/"
