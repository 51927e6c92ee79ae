"""
Records in PostgreSQL, for processes on many machines. Needs the extra `platform-guardrails[postgres]`.

The writer's role needs INSERT and SELECT and no more, once the tables are there; so the database itself refuses changes.
"""

from __future__ import annotations

import contextlib
import os
import re
from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING, Any, Final

from guardrails.audit.found import NOTHING, Found
from guardrails.errors import ConfigError

if TYPE_CHECKING:
    import psycopg

_NEWEST: Final = 32
_TAILS: Final = 16  # streams whose ends are read back: other processes may write to the same tables
_TABLE: Final = re.compile(r"[a-z_][a-z0-9_]{0,40}(?:\.[a-z_][a-z0-9_]{0,40})?")
_FETCHED: Final = 2_000  # rows at a time, when a stream is read


class PostgresSink:
    """
    Writes each batch with one statement, in one round trip.

    Args:
        conninfo: A connection string or URL of libpq; never shown.
        table: For the lines; the list of streams is beside it, with `_streams` at its end. Both are created if they are not
            there and the role may.
        timeout_seconds: For connecting, and for a statement. After a failure the next stream connects anew.

    Raises:
        ConfigError: The extra is missing, or the table's name is none.
    """

    uses_network: Final = True

    def __init__(self, conninfo: str, *, table: str = "guardrails_audit", timeout_seconds: float = 2.0) -> None:
        try:
            import psycopg  # noqa: F401, PLC0415 - an extra
        except ImportError:
            raise ConfigError("PostgresSink needs psycopg: pip install 'platform-guardrails[postgres]'") from None
        if not _TABLE.fullmatch(table):
            raise ConfigError("PostgresSink(table=...) must be a lower-case name, perhaps with a schema before it")
        self._conninfo = conninfo
        self.table: str = table
        self._timeout_seconds = timeout_seconds
        self._connection: psycopg.Connection[Any] | None = None
        self._pid = 0
        self._stream = ""
        self._seq = 0
        self._durable: bool | None = None
        self._found = NOTHING

    def open(self, stream: str, /) -> None:
        """Connect, and be ready for *stream*."""
        if self._pid == os.getpid():
            self.close()
        self._connection = None  # in a forked child: the connection is the parent's, and is not touched
        connection = self._connect()
        try:
            self._create(connection)
            query = f"SELECT stream FROM {self.table}_streams ORDER BY number DESC LIMIT {_NEWEST}"  # noqa: S608 - checked
            newest = [str(one) for (one,) in connection.execute(query.encode())]
        except BaseException:
            connection.close()
            raise
        self._connection, self._pid, self._stream, self._seq, self._durable = connection, os.getpid(), stream, 0, None
        self._found = Found(streams=tuple(reversed(newest)))

    def found(self) -> Found:
        """The streams that were there before the open one."""
        return self._found

    def write(self, lines: Sequence[bytes], /, *, durable: bool) -> None:
        """
        Insert *lines* in one transaction.

        Raises:
            psycopg.Error: The server is gone, too slow, read-only, ...
        """
        connection = self._connection
        if connection is None:
            raise OSError("no stream is open")
        if durable is not self._durable:
            connection.execute(b"SET synchronous_commit = on" if durable else b"SET synchronous_commit = off")
            self._durable = durable
        insert = f"INSERT INTO {self.table} (stream, seq, line) SELECT %s, %s::bigint + n - 1, l FROM unnest(%s::bytea[]) WITH ORDINALITY AS t(l, n)"  # noqa: E501, S608 - checked
        if self._seq == 0:
            insert = f"WITH begun AS (INSERT INTO {self.table}_streams (stream) VALUES (%s)) {insert}"  # noqa: S608 - checked
            connection.execute(insert.encode(), (self._stream, self._stream, 0, list(lines)))
        else:
            connection.execute(insert.encode(), (self._stream, self._seq, list(lines)))
        self._seq += len(lines)

    def close(self) -> None:
        """Let the connection go."""
        connection, self._connection = self._connection, None
        if connection is not None and self._pid == os.getpid():
            connection.close()

    def streams(self) -> Iterator[tuple[str, Iterator[bytes]]]:
        """
        Each stream with its lines, oldest first; for `write_streams`.

        Raises:
            psycopg.Error: The server cannot be read from.
        """
        with contextlib.closing(self._connect()) as connection:
            query = f"SELECT stream FROM {self.table}_streams ORDER BY number"  # noqa: S608 - checked
            for (stream,) in connection.execute(query.encode()).fetchall():
                yield str(stream), self._lines(connection, str(stream))

    def tails(self, most: int, /) -> Iterator[Sequence[bytes]]:
        """
        The ends of the open stream and of the streams that began last, through a connection of its own.

        Raises:
            psycopg.Error: The server cannot be read from.
        """
        with contextlib.closing(self._connect()) as connection:
            query = f"SELECT stream FROM {self.table}_streams ORDER BY number DESC LIMIT {_TAILS}"  # noqa: S608 - checked
            newest = [str(one) for (one,) in connection.execute(query.encode()).fetchall()]
            query = f"SELECT line FROM {self.table} WHERE stream = %s ORDER BY seq DESC LIMIT %s"  # noqa: S608 - checked
            for stream in dict.fromkeys([self._stream, *newest]):
                rows = connection.execute(query.encode(), (stream, most)).fetchall()
                yield [bytes(line).removesuffix(b"\n") for (line,) in reversed(rows)]

    def _lines(self, connection: psycopg.Connection[Any], stream: str) -> Iterator[bytes]:
        query = f"SELECT line FROM {self.table} WHERE stream = %s AND seq >= %s ORDER BY seq LIMIT {_FETCHED}"  # noqa: S608 - checked
        at = 0
        while rows := connection.execute(query.encode(), (stream, at)).fetchall():
            yield from (bytes(line) for (line,) in rows)
            at += len(rows)

    def _connect(self) -> psycopg.Connection[Any]:
        import psycopg  # noqa: PLC0415 - an extra

        milliseconds = max(1, int(self._timeout_seconds * 1_000))
        return psycopg.connect(
            self._conninfo,
            autocommit=True,
            connect_timeout=max(1, round(self._timeout_seconds)),
            options=f"-c statement_timeout={milliseconds} -c lock_timeout={milliseconds}",
            tcp_user_timeout=milliseconds,  # a server that vanished is noticed within it
            application_name="guardrails-audit",
        )

    def _create(self, connection: psycopg.Connection[Any]) -> None:
        there = connection.execute(
            b"SELECT to_regclass(%s), to_regclass(%s)", (self.table, f"{self.table}_streams")
        ).fetchone()
        if there is not None and None not in there:
            return
        lines = "(stream text NOT NULL, seq bigint NOT NULL, line bytea NOT NULL, PRIMARY KEY (stream, seq))"
        streams = "(number bigint GENERATED ALWAYS AS IDENTITY PRIMARY KEY, stream text NOT NULL UNIQUE)"
        # Two writers that start together would both create; the lock lets one wait for the other.
        script = (
            f"BEGIN; SELECT pg_advisory_xact_lock(hashtext('{self.table}'));"
            f"CREATE TABLE IF NOT EXISTS {self.table} {lines};"
            f"CREATE TABLE IF NOT EXISTS {self.table}_streams {streams}; COMMIT"
        )
        connection.execute(script.encode())

    def __repr__(self) -> str:
        return f"PostgresSink(table={self.table!r})"
