"""Rows in a file that several processes of one machine share."""

from __future__ import annotations

import os
import sqlite3
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Final, final

from guardrails.core import forks
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
        forks.watch(self)
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
            self._close()

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    def before_fork(self) -> None:
        """Close the file, and let nobody open it."""
        self._lock.acquire()
        self._close()

    def after_fork_in_parent(self) -> None:
        """Go on; the next question opens the file again."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """Go on, with a file of its own."""
        self._lock = threading.Lock()

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
        if self._connection is not None:
            return self._connection
        descriptor = os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600) if not self._path.exists() else None
        if descriptor is not None:
            os.close(descriptor)
        made = sqlite3.connect(self._path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
        made.execute("PRAGMA journal_mode=WAL")
        made.execute("PRAGMA secure_delete=ON")
        for statement in _SCHEMA:
            made.execute(statement)
        self._connection = made
        return made
