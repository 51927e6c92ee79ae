"""
Opt-outs in Redis or Valkey: one hash, and the set of keys that its digests were made with.

The hash has a field that is nobody's. A server that is full may drop one key and keep the other: a hash without that field is
not a list without people, it is no list.
"""

from __future__ import annotations

from collections.abc import Collection, Iterator, Sequence
from typing import Any, Final, final

from guardrails.ratelimit.people.optouts import OptOut, checked_keys
from guardrails.ratelimit.people.server import Server

_ROWS: Final = "guardrails:people:opt-outs"
_KEYS: Final = "guardrails:people:opt-out-keys"
_MADE: Final = "made"  # no digest looks like it
_AT_ONCE: Final = 1_000


@final
class ServerOptOuts:
    """
    A list that all processes share.

    Args:
        server: The server.
    """

    blocks: bool = True

    def __init__(self, server: Server) -> None:
        self._server = server

    def create(self, key_id: str, /) -> None:
        """Make the list."""

        def question(client: Any) -> Any:
            both = client.pipeline(transaction=True)
            both.hsetnx(_ROWS, _MADE, "1")
            both.sadd(_KEYS, key_id)
            return both.execute()

        self._server.ask(question)

    def opted_out(self, digests: Sequence[str], key_ids: Collection[str], /) -> Collection[str]:
        """Those of *digests* that are on the list; keys and rows are of one moment."""

        def question(client: Any) -> Any:
            both = client.pipeline(transaction=True)
            both.smembers(_KEYS)
            both.hmget(_ROWS, [_MADE, *digests])
            return both.execute()

        held, (made, *rows) = self._server.ask(question)
        checked_keys((one.decode() for one in held) if made else (), key_ids)
        return [digest for digest, row in zip(digests, rows, strict=True) if row is not None]

    def add(self, rows: Sequence[OptOut], /) -> int:
        """Put rows on the list."""
        added = 0
        for begin in range(0, len(rows), _AT_ONCE):
            some = rows[begin : begin + _AT_ONCE]

            def question(client: Any, some: Sequence[OptOut] = some) -> Any:
                all_of_them = client.pipeline(transaction=True)
                for row in some:
                    all_of_them.hsetnx(_ROWS, row.digest, f"{row.since} {row.source}")
                return all_of_them.execute()

            added += sum(map(int, self._server.ask(question)))
        return added

    def remove(self, digests: Sequence[str], /) -> int:
        """Take digests off it."""
        return int(self._server.ask(lambda client: client.hdel(_ROWS, *digests)))

    def rows(self) -> Iterator[OptOut]:
        """All of it; what changes meanwhile may or may not be in it."""
        cursor = 0
        while True:
            cursor, some = self._server.ask(lambda client, at=cursor: client.hscan(_ROWS, at, count=_AT_ONCE))  # type: ignore[misc]  # bound now
            for digest, row in some.items():
                if digest.decode() != _MADE:
                    since, _, source = row.decode().partition(" ")
                    yield OptOut(digest.decode(), since, source)
            if not cursor:
                return

    def close(self) -> None:
        """Close idle connections."""
        self._server.close()
