"""Records in a SQLite database: one file that several processes share, and that can be copied while they write."""

from __future__ import annotations

import contextlib
import os
import sqlite3
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Final

from guardrails.audit.folder import make_folder
from guardrails.audit.found import NOTHING, Found

_NEWEST: Final = 32
_BUSY_SECONDS: Final = 1.0  # another process writes; the log's own deadline is longer
_inherited: Final[list[sqlite3.Connection]] = []  # in a forked child
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
        self._pid = 0
        self._stream = ""
        self._seq = 0
        self._durable: bool | None = None
        self._found = NOTHING

    def open(self, stream: str, /) -> None:
        """Connect, and be ready for *stream*."""
        if self._database is not None and self._pid != os.getpid():
            _inherited.append(self._database)  # the parent's: closing it here could take its journal away
            self._database = None
        self.close()
        path = self.path.absolute()
        make_folder(path.parent)
        os.close(os.open(path, os.O_WRONLY | os.O_CREAT | getattr(os, "O_NOFOLLOW", 0), 0o600))
        # The writer calls from one thread at a time, but not always from the same.
        database = sqlite3.connect(path, timeout=_BUSY_SECONDS, isolation_level=None, check_same_thread=False)
        try:
            database.execute("PRAGMA journal_mode=WAL")
            database.executescript(_SCHEMA)
            query = "SELECT stream FROM guardrails_streams ORDER BY number DESC LIMIT ?"
            newest = [str(one) for (one,) in database.execute(query, (_NEWEST,))]
        except BaseException:
            database.close()
            raise
        self._database, self._pid, self._stream, self._seq, self._durable = database, os.getpid(), stream, 0, None
        self._found = Found(streams=tuple(reversed(newest)))

    def found(self) -> Found:
        """The streams that were there before the open one."""
        return self._found

    def write(self, lines: Sequence[bytes], /, *, durable: bool) -> None:
        """
        Insert *lines* in one transaction.

        Raises:
            sqlite3.Error: The database is locked, full, gone, ...
        """
        database = self._database
        if database is None:
            raise OSError("no stream is open")
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
        self._seq += len(rows)

    def close(self) -> None:
        """Let the connection go."""
        database, self._database = self._database, None
        if database is not None:
            database.close()

    def streams(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        """
        Each stream with its lines, oldest first; for `write_streams`.

        Raises:
            sqlite3.Error: The database cannot be read.
        """
        with contextlib.closing(sqlite3.connect(f"{self.path.absolute().as_uri()}?mode=ro", uri=True)) as database:
            for (stream,) in database.execute("SELECT stream FROM guardrails_streams ORDER BY number").fetchall():
                rows = database.execute("SELECT line FROM guardrails_audit WHERE stream = ? ORDER BY seq", (stream,))
                yield str(stream), (_stored(line) for (line,) in rows)

    def __repr__(self) -> str:
        return f"SqliteSink({str(self.path)!r})"


def _stored(line: object) -> bytes:
    """What lies there, whatever somebody put there: the verifier judges it."""
    return line if isinstance(line, bytes) else str(line).encode("utf-8", "surrogateescape")
