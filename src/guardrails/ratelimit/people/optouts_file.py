"""Opt-outs in a SQLite file."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Final, final

from guardrails.ratelimit.people.optouts import OptOut, checked_keys
from guardrails.server.file import SqliteFile

_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS opt_outs (digest TEXT PRIMARY KEY, since TEXT NOT NULL, source TEXT NOT NULL) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS opt_out_keys (key_id TEXT PRIMARY KEY) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS about_opt_outs (schema_version INTEGER NOT NULL)",
    "INSERT INTO about_opt_outs SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM about_opt_outs)",
)
_AT_ONCE: Final = 500  # digests in one statement
_PATIENCE_SECONDS: Final = 10.0  # no send waits for it, and an opt-out must not be lost because others write


@final
class SqliteOptOuts:
    """
    A list in one file.

    Args:
        path: The file.
    """

    blocks: bool = True

    def __init__(self, path: str) -> None:
        self._file = SqliteFile(path, _SCHEMA, asked_by="suppression", called="suppression: the store")

    def create(self, key_id: str, /) -> None:
        """Make the list."""
        with self._file.asked(writes=True, patience=_PATIENCE_SECONDS) as rows:
            rows.execute("INSERT OR IGNORE INTO opt_out_keys VALUES (?)", (key_id,))

    def opted_out(self, digests: Sequence[str], key_ids: Collection[str], /) -> Collection[str]:
        """Those of *digests* that are on the list."""
        found: list[str] = []
        with self._file.asked() as rows:
            checked_keys((one for (one,) in rows.execute("SELECT key_id FROM opt_out_keys")), key_ids)
            for begin in range(0, len(digests), _AT_ONCE):
                some = digests[begin : begin + _AT_ONCE]
                marks = ",".join("?" * len(some))
                query = f"SELECT digest FROM opt_outs WHERE digest IN ({marks})"  # noqa: S608 - marks only
                found += [digest for (digest,) in rows.execute(query, tuple(some))]
        return found

    def add(self, rows: Sequence[OptOut], /) -> int:
        """Put rows on the list."""
        with self._file.asked(writes=True, patience=_PATIENCE_SECONDS) as table:
            return sum(table.execute("INSERT OR IGNORE INTO opt_outs VALUES (?, ?, ?)", row).rowcount for row in rows)

    def remove(self, digests: Sequence[str], /) -> int:
        """Take digests off it."""
        with self._file.asked(writes=True, patience=_PATIENCE_SECONDS) as table:
            return sum(table.execute("DELETE FROM opt_outs WHERE digest = ?", (one,)).rowcount for one in digests)

    def rows(self) -> Iterator[OptOut]:
        """All of it."""
        with self._file.asked() as table:
            found = table.execute("SELECT digest, since, source FROM opt_outs ORDER BY since, digest").fetchall()
        return (OptOut(*row) for row in found)

    def close(self) -> None:
        """Close the file."""
        self._file.close()
