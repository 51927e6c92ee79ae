"""Rows in a file that several processes of one machine share."""

from __future__ import annotations

import os
from collections.abc import Sequence
from typing import Final, final

from guardrails.pii.failures import SpeakableError
from guardrails.pii.vault.store import ALTERED, FullError, Row
from guardrails.server.file import SqliteFile

_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS rows (grp TEXT, key TEXT, value BLOB, until REAL, PRIMARY KEY (grp, key)) WITHOUT ROWID",
    "CREATE INDEX IF NOT EXISTS rows_until ON rows (until)",
    "CREATE TABLE IF NOT EXISTS about (schema_version INTEGER NOT NULL)",
    "INSERT INTO about SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM about)",
)
_GET: Final = "SELECT value, until FROM rows WHERE grp = ? AND key = ? AND until > ?"
_EXPIRED: Final = (
    "DELETE FROM rows WHERE (grp, key) IN (SELECT grp, key FROM rows WHERE until <= ? ORDER BY until LIMIT 500)"
)
_GROUPS_AT_ONCE: Final = 500
_RENEW: Final = "UPDATE rows SET until = max(until, ?) WHERE grp = ? AND key = ? AND until > ?"
_PUT: Final = "INSERT OR REPLACE INTO rows VALUES (?, ?, ?, ?)"


@final
class SqliteStore:
    """
    Rows in one SQLite file.

    Args:
        path: The file; made when missing, readable by its owner only. Its folder must exist.

    Raises:
        ConfigError: The folder does not exist, or the file is no such store.
    """

    blocks: bool = True

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self._file = SqliteFile(path, _SCHEMA, asked_by="Vault(storage='sqlite:///...')", called="the vault's store")

    def get(self, group: str, key: str, /, *, now: float) -> Row | None:
        """The live row."""
        with self._file.asked() as rows:
            found = rows.execute(_GET, (group, key, now)).fetchone()
        return None if found is None else _checked(found)

    def add(self, group: str, key: str, value: bytes, /, *, until: float, now: float, most: int) -> Row:
        """The live row, which is *value* if there was none."""
        full = False
        with self._file.asked() as rows:
            found = rows.execute(_GET, (group, key, now)).fetchone()
            if found is not None:
                return _checked(found)
            rows.execute("BEGIN IMMEDIATE")
            found = rows.execute(_GET, (group, key, now)).fetchone()
            if found is None:
                rows.execute("DELETE FROM rows WHERE grp = ? AND until <= ?", (group, now))
                rows.execute(_EXPIRED, (now,))  # and a share of all others
                full = rows.execute("SELECT count(*) FROM rows WHERE grp = ?", (group,)).fetchone()[0] >= most
                if not full:
                    rows.execute(_PUT, (group, key, value, until))
            rows.execute("COMMIT")
        if full:
            raise FullError
        return (value, until) if found is None else _checked(found)

    def put(self, group: str, key: str, value: bytes, /, *, until: float, now: float) -> None:  # noqa: ARG002 - it is kept as it is
        """Set the row."""
        with self._file.asked() as rows:
            rows.execute(_PUT, (group, key, value, until))

    def renew(self, group: str, key: str, /, *, until: float, now: float) -> bool:
        """Let a live row live at least until then; False if there is none."""
        with self._file.asked() as rows:
            return rows.execute(_RENEW, (until, group, key, now)).rowcount == 1

    def keys(self, groups: Sequence[str], /, *, now: float) -> list[str]:
        """The keys of the live rows of all *groups*."""
        found: list[str] = []
        with self._file.asked() as rows:
            for first in range(0, len(groups), _GROUPS_AT_ONCE):
                some = groups[first : first + _GROUPS_AT_ONCE]
                asked = f"SELECT key FROM rows WHERE until > ? AND grp IN ({','.join('?' * len(some))})"  # noqa: S608 - only marks
                found += [key for (key,) in rows.execute(asked, (now, *some))]
        return found

    def remove(self, *places: tuple[str, str]) -> None:
        """Delete rows, if they are there."""
        with self._file.asked(writes=True) as rows:
            rows.executemany("DELETE FROM rows WHERE grp = ? AND key = ?", places)

    def remove_groups(self, prefix: str, /) -> int:
        """Delete every group whose name begins with *prefix*; deleted pages are overwritten."""
        with self._file.asked() as rows:
            gone = rows.execute("DELETE FROM rows WHERE substr(grp, 1, ?) = ?", (len(prefix), prefix)).rowcount
            rows.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # else the old pages stay in the write-ahead log
        return gone

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _checked(found: tuple[object, object]) -> Row:
    value, until = found
    if not isinstance(value, bytes) or not isinstance(until, float):
        raise SpeakableError(ALTERED)
    return value, until
