"""Records in a SQLite database: one file that several processes share, and that can be copied while they write."""

from __future__ import annotations

import contextlib
import os
import sqlite3
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Final, TypeVar

from guardrails.audit.folder import make_folder
from guardrails.audit.found import NOTHING, Found
from guardrails.core import forks

T = TypeVar("T")
_NEWEST: Final = 32
_TAILS: Final = 16  # streams whose ends are read back: other processes may write to the same database
_BUSY_SECONDS: Final = 1.0  # another process writes; the log's own deadline is longer
_PAUSE_SECONDS: Final = 0.005
_PRIMARY: Final = 0xFF  # of an extended error code; source: https://www.sqlite.org/rescode.html
_BUSY: Final = (sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED)
# Append-only for whoever goes through SQL; the chain shows what whoever goes around it did.
_SCHEMA: Final = """
CREATE TABLE IF NOT EXISTS guardrails_audit (
    stream TEXT NOT NULL, seq INTEGER NOT NULL, line BLOB NOT NULL, PRIMARY KEY (stream, seq)
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS guardrails_streams (number INTEGER PRIMARY KEY AUTOINCREMENT, stream TEXT NOT NULL UNIQUE);
CREATE TRIGGER IF NOT EXISTS guardrails_no_update BEFORE UPDATE ON guardrails_audit
    BEGIN SELECT RAISE(ABORT, 'records are never changed'); END;
CREATE TRIGGER IF NOT EXISTS guardrails_no_delete BEFORE DELETE ON guardrails_audit
    BEGIN SELECT RAISE(ABORT, 'records are never removed'); END;
"""


class SqliteSink:
    """
    Writes each batch in one transaction.

    Args:
        path: Created with mode 0600 when the first stream opens, its folder with 0700.
    """

    def __init__(self, path: str | os.PathLike[str]) -> None:
        self.path: Path = Path(path)
        self._database: sqlite3.Connection | None = None
        self._lock = threading.RLock()  # around the file; a process that forks stands still
        self._stream = ""
        self._seq = 0
        self._durable: bool | None = None
        self._identity = (0, 0)
        self._log: tuple[int, int] | None = None  # of the write-ahead log; None before the first write, or without one
        self._has_log = False
        self._found = NOTHING
        forks.watch(self)

    def open(self, stream: str, /) -> None:
        """Connect, and be ready for *stream*."""
        with self._lock:
            self.close()
            self._database = database = self._connected()
            query = "SELECT stream FROM guardrails_streams ORDER BY number DESC LIMIT ?"
            newest = [str(one) for (one,) in database.execute(query, (_NEWEST,))]
            self._stream, self._seq = stream, 0
            self._found = Found(streams=tuple(reversed(newest)))

    def _connected(self) -> sqlite3.Connection:
        path = self.path.absolute()
        make_folder(path.parent)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600))
        identity = self._found_at(path)  # before it is opened: what is put there in between is found by the next write
        # The writer calls from one thread at a time, but not always from the same.
        database = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            # SQLite itself waits for nobody here: whoever else opens the same new file is making the same changes.
            (mode,) = _patiently(lambda: database.execute("PRAGMA journal_mode=WAL").fetchone())
            _patiently(lambda: database.executescript(_SCHEMA))
        except BaseException:
            database.close()
            raise
        self._durable, self._identity, self._log, self._has_log = None, identity, None, mode == "wal"
        return database

    @staticmethod
    def _found_at(path: Path) -> tuple[int, int]:
        status = path.stat(follow_symlinks=False)
        return status.st_dev, status.st_ino

    def found(self) -> Found:
        """The streams that were there before the open one."""
        return self._found

    def write(self, lines: Sequence[bytes], /, *, durable: bool) -> None:
        """
        Insert *lines* in one transaction.

        Raises:
            sqlite3.Error: The database is locked, full, ...
            OSError: Its file is gone, or another one is there: what was written lies nowhere.
        """
        with self._lock:
            if not self._stream:
                raise OSError("no stream is open")
            if self._database is None:  # it was closed for a fork
                self._database = self._connected()
            self._write(self._database, lines, durable=durable)

    def _write(self, database: sqlite3.Connection, lines: Sequence[bytes], *, durable: bool) -> None:
        if durable is not self._durable:
            database.execute(f"PRAGMA synchronous={'FULL' if durable else 'NORMAL'}")
            self._durable = durable
        rows = [(self._stream, self._seq + number, line) for number, line in enumerate(lines)]
        database.execute("BEGIN IMMEDIATE")
        try:
            if self._seq == 0:
                database.execute("INSERT INTO guardrails_streams (stream) VALUES (?)", (self._stream,))
            database.executemany("INSERT INTO guardrails_audit VALUES (?, ?, ?)", rows)
            database.execute("COMMIT")
        except BaseException:
            with contextlib.suppress(sqlite3.Error):
                database.execute("ROLLBACK")
            raise
        path = self.path.absolute()
        log = self._found_at(path.with_name(f"{path.name}-wal")) if self._has_log else None
        self._log = self._log or log
        if self._found_at(path) != self._identity or log != self._log:
            raise OSError("the database or its write-ahead log was replaced under its writer")
        self._seq += len(rows)

    def close(self) -> None:
        """Let the connection go."""
        with self._lock:
            self._stream = ""
            self._disconnect()

    def _disconnect(self) -> None:
        database, self._database = self._database, None
        if database is not None:
            database.close()

    def before_fork(self) -> None:
        """Close the file, and let nobody open it."""
        self._lock.acquire()
        self._disconnect()

    def after_fork_in_parent(self) -> None:
        """Go on with the same stream; the next write opens the file again."""
        self._lock.release()

    def after_fork_in_child(self) -> None:
        """The stream is its parent's: nothing is written until another one is opened."""
        self._lock = threading.RLock()
        self._stream = ""

    def streams(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        """
        Each stream with its lines, oldest first; for `write_streams`.

        Raises:
            sqlite3.Error: The database cannot be read.
        """
        with contextlib.closing(self._reader()) as database:
            for (stream,) in database.execute("SELECT stream FROM guardrails_streams ORDER BY number").fetchall():
                rows = database.execute("SELECT line FROM guardrails_audit WHERE stream = ? ORDER BY seq", (stream,))
                yield str(stream), (_stored(line) for (line,) in rows)

    def tails(self, most: int, /) -> Iterator[Sequence[bytes]]:
        """
        The ends of the open stream and of the streams that began last, through a connection of its own.

        Raises:
            sqlite3.Error: The database cannot be read.
        """
        with contextlib.closing(self._reader()) as database:
            query = "SELECT stream FROM guardrails_streams ORDER BY number DESC LIMIT ?"
            newest = [str(one) for (one,) in database.execute(query, (_TAILS,))]
            for stream in dict.fromkeys([self._stream, *newest]):
                query = "SELECT line FROM guardrails_audit WHERE stream = ? ORDER BY seq DESC LIMIT ?"
                rows = database.execute(query, (stream, most)).fetchall()
                yield [_stored(line).removesuffix(b"\n") for (line,) in reversed(rows)]

    def _reader(self) -> sqlite3.Connection:
        return sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True, timeout=_BUSY_SECONDS)

    def __repr__(self) -> str:
        return f"SqliteSink({str(self.path)!r})"


def _patiently(act: Callable[[], T]) -> T:
    """
    Try until nobody else holds the file, for as long as SQLite would.

    Raises:
        sqlite3.Error: Somebody still does, or something else is wrong.
    """
    until = time.monotonic() + _BUSY_SECONDS
    while True:
        try:
            return act()
        except sqlite3.OperationalError as error:
            if error.sqlite_errorcode & _PRIMARY not in _BUSY or time.monotonic() > until:
                raise
        time.sleep(_PAUSE_SECONDS)


def _stored(line: object) -> bytes:
    """What lies there, whatever somebody put there: the verifier judges it."""
    return line if isinstance(line, bytes) else str(line).encode("utf-8", "surrogateescape")
