"""A SQLite file that several processes of one machine share: one connection a process, bounded waits, nothing across a fork."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Final, final

from guardrails.core import forks
from guardrails.errors import ConfigError, Unavailable

_WAIT_SECONDS: Final = 1.0  # for another writer, so that a send is refused within 2 s
_PAUSE_SECONDS: Final = 0.01


@final
class SqliteFile:
    """
    One file.

    Args:
        path: The file; made when missing, readable by its owner only. Its folder must exist.
        schema: Statements that make its tables.
        asked_by: Who asks, for errors.
        called: What it is to whoever reads an error, such as "the vault's store".

    Raises:
        ConfigError: The folder does not exist, or the file is not usable.
    """

    _connection: sqlite3.Connection | None = None

    def __init__(
        self,
        path: str | os.PathLike[str],
        schema: Sequence[str],
        *,
        asked_by: str,
        called: str,
    ) -> None:
        self._path = Path(path)
        self._schema = tuple(schema)
        self._called = called
        self._lock = threading.Lock()
        self._inode = self._log_inode = (0, 0)
        forks.watch(self)
        if not self._path.parent.is_dir():
            raise ConfigError(f"{asked_by}: the folder of the SQLite file does not exist; create it")
        try:
            with self._opened(_WAIT_SECONDS):
                pass
        except (sqlite3.Error, OSError) as error:
            kind = type(error).__name__
        else:
            return
        raise ConfigError(f"{asked_by}: the SQLite file cannot be used ({kind})")

    @contextmanager
    def asked(self, *, writes: bool = False, patience: float = _WAIT_SECONDS) -> Iterator[sqlite3.Connection]:
        """
        The connection, alone; with *writes* in one transaction that nobody else writes beside.

        Args:
            writes: Whether it is changed.
            patience: Seconds to wait for other writers.

        Raises:
            Unavailable: The file does not answer in time, or not at all.
        """
        try:
            with self._opened(patience) as rows:
                if writes:
                    rows.execute(f"PRAGMA busy_timeout = {round(patience * 1_000)}")
                    rows.execute("BEGIN IMMEDIATE")
                yield rows
                if writes:
                    rows.execute("COMMIT")
                    if self._log_inode == (0, 0):
                        self._log_inode = _inode_of(self._log_path)
        except (sqlite3.Error, OSError) as error:
            kind = type(error).__name__  # its text may quote what was to be written
        else:
            return
        raise Unavailable(f"{self._called} failed ({kind}); nothing was sent, try again when it is back")

    def close(self) -> None:
        """Close the file; a later question opens it again."""
        with self._lock:
            self._close()

    def __del__(self) -> None:
        self._close()

    def _close(self) -> None:
        connection, self._connection = self._connection, None
        if connection is not None:
            connection.close()

    @contextmanager
    def _opened(self, patience: float) -> Iterator[sqlite3.Connection]:
        if not self._lock.acquire(timeout=patience):
            raise sqlite3.OperationalError
        try:
            rows = self._connected()
            try:
                yield rows
            finally:
                if rows.in_transaction:
                    rows.execute("ROLLBACK")
        finally:
            self._lock.release()

    def _connected(self) -> sqlite3.Connection:
        if self._connection is not None:
            # A file that was taken away or replaced goes on to answer from nowhere: look whether it is still the same.
            if _inode_of(self._path) == self._inode and self._log_inode in ((0, 0), _inode_of(self._log_path)):
                return self._connection
            self._close()
        if not self._path.exists():
            os.close(os.open(self._path, os.O_RDWR | os.O_CREAT, 0o600))
        inode = _inode_of(self._path)  # before it is opened: what is put there in between is found by the next question
        until = time.monotonic() + _WAIT_SECONDS
        while (made := self._made()) is None:
            if time.monotonic() > until:
                raise sqlite3.OperationalError
            time.sleep(_PAUSE_SECONDS)
        self._connection, self._inode, self._log_inode = made, inode, (0, 0)
        return made

    @property
    def _log_path(self) -> Path:
        """Of SQLite's write-ahead log. Whoever takes that away takes what is not in the file itself by then."""
        return self._path.with_name(f"{self._path.name}-wal")

    def _made(self) -> sqlite3.Connection | None:
        """A connection to a file with our tables; None while processes that start together make them."""
        made = sqlite3.connect(self._path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            made.execute("PRAGMA journal_mode=WAL")
            made.execute("PRAGMA secure_delete=ON")
            for statement in self._schema:
                made.execute(statement)
        except BaseException as error:
            made.close()
            # The switch to a write-ahead log does not wait for others, whatever the timeout.
            if isinstance(error, sqlite3.OperationalError) and error.sqlite_errorcode & 0xFF == sqlite3.SQLITE_BUSY:
                return None
            raise
        return made

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


def _inode_of(path: Path) -> tuple[int, int]:
    try:
        found = path.stat()
    except FileNotFoundError:
        return 0, 0
    return found.st_dev, found.st_ino
