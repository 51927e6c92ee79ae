"""Rows in a file that several processes of one machine share."""

from __future__ import annotations

import os
import sqlite3
import threading
import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, final

from guardrails.errors import ConfigError
from guardrails.pii.vault.store import FullError, Row, failed

_WAIT_SECONDS: Final = 2.0  # for another writer
_SCHEMA: Final = (
    "CREATE TABLE IF NOT EXISTS rows (grp TEXT, key TEXT, value BLOB, until REAL, PRIMARY KEY (grp, key)) WITHOUT ROWID",
    "CREATE TABLE IF NOT EXISTS about (schema_version INTEGER NOT NULL)",
    "INSERT INTO about SELECT 1 WHERE NOT EXISTS (SELECT 1 FROM about)",
)
_GET: Final = "SELECT value, until FROM rows WHERE grp = ? AND key = ? AND until > ?"
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
        self._path = Path(path)
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._pid = 0
        _stores.add(self)
        if not self._path.parent.is_dir():
            raise ConfigError("Vault(storage='sqlite:///...'): the folder of the file does not exist; create it")
        try:
            with self._rows():
                pass
        except (sqlite3.Error, OSError) as error:
            kind = type(error).__name__
        else:
            return
        raise ConfigError(f"Vault(storage='sqlite:///...'): the file cannot be used as a vault ({kind})")

    def get(self, group: str, key: str, /, *, now: float) -> Row | None:
        """The live row."""
        with self._asked() as rows:
            found: Row | None = rows.execute(_GET, (group, key, now)).fetchone()
        return found

    def add(self, group: str, key: str, value: bytes, /, *, until: float, now: float, most: int) -> Row:
        """The live row, which is *value* if there was none."""
        full = False
        with self._asked() as rows:
            found: Row | None = rows.execute(_GET, (group, key, now)).fetchone()
            if found is not None:
                return found
            rows.execute("BEGIN IMMEDIATE")
            found = rows.execute(_GET, (group, key, now)).fetchone()
            if found is None:
                rows.execute("DELETE FROM rows WHERE grp = ? AND until <= ?", (group, now))
                full = rows.execute("SELECT count(*) FROM rows WHERE grp = ?", (group,)).fetchone()[0] >= most
                if not full:
                    rows.execute(_PUT, (group, key, value, until))
            rows.execute("COMMIT")
        if full:
            raise FullError
        return found or (value, until)

    def put(self, group: str, key: str, value: bytes, /, *, until: float, now: float) -> None:  # noqa: ARG002 - it is kept as it is
        """Set the row."""
        with self._asked() as rows:
            rows.execute(_PUT, (group, key, value, until))

    def keys(self, group: str, /, *, now: float) -> list[str]:
        """The keys of the live rows."""
        with self._asked() as rows:
            return [key for (key,) in rows.execute("SELECT key FROM rows WHERE grp = ? AND until > ?", (group, now))]

    def remove(self, group: str, key: str, /) -> None:
        """Delete a row, if it is there."""
        with self._asked() as rows:
            rows.execute("DELETE FROM rows WHERE grp = ? AND key = ?", (group, key))

    def remove_groups(self, prefix: str, /) -> int:
        """Delete every group whose name begins with *prefix*; deleted pages are overwritten."""
        with self._asked() as rows:
            gone = rows.execute("DELETE FROM rows WHERE substr(grp, 1, ?) = ?", (len(prefix), prefix)).rowcount
            rows.execute("PRAGMA wal_checkpoint(TRUNCATE)")  # else the old pages stay in the write-ahead log
        return gone

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            if self._connection is not None and self._pid == os.getpid():
                self._connection.close()
            self._connection = None

    @contextmanager
    def _asked(self) -> Iterator[sqlite3.Connection]:
        try:
            with self._rows() as rows:
                yield rows
        except (sqlite3.Error, OSError) as error:
            failure = failed(error)
        else:
            return
        raise failure

    @contextmanager
    def _rows(self) -> Iterator[sqlite3.Connection]:
        with self._lock:
            rows = self._opened()
            try:
                yield rows
            finally:
                if rows.in_transaction:
                    rows.execute("ROLLBACK")

    def _opened(self) -> sqlite3.Connection:
        if self._connection is not None and self._pid == os.getpid():
            return self._connection
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600) if not self._path.exists() else None
        if descriptor is not None:
            os.close(descriptor)
        made = sqlite3.connect(self._path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
        made.execute("PRAGMA journal_mode=WAL")
        made.execute("PRAGMA secure_delete=ON")
        for statement in _SCHEMA:
            made.execute(statement)
        self._connection, self._pid = made, os.getpid()  # a connection does not survive a fork
        return made


_stores: Final[weakref.WeakSet[SqliteStore]] = weakref.WeakSet()


def _after_fork() -> None:
    for store in list(_stores):
        store._lock = threading.Lock()  # noqa: SLF001 - same module; another thread may have held it


os.register_at_fork(after_in_child=_after_fork)
