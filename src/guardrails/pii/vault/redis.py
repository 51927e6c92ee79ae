"""
Rows in a Redis or Valkey server that several machines share.

A group is one hash; a field holds the row's expiry (milliseconds, 0 for never), a space, and its bytes. What has to happen at
once happens in a script. The hash itself expires with its last row, so that a server that is short of memory need not be told.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Sequence
from typing import Any, Final, final

from guardrails.pii.failures import SpeakableError
from guardrails.pii.vault.store import ALTERED, FullError, Row, failed
from guardrails.server.endpoint import Endpoint
from guardrails.server.link import Link, StoreDown, sha_of

PREFIX: Final = "guardrails:vault:"
_TIMEOUT_SECONDS: Final = 1.0  # one question; it may be asked twice
_CONNECTIONS: Final = 16
_SCANNED: Final = 500  # keys a step

# Written by a script, so that the hash outlives its longest row, whoever writes at the same time.
_WRITE: Final = """
local function write(key, field, until_ms, row, now)
  local kept = redis.call('EXISTS', key) == 1
  local left = redis.call('PTTL', key)
  redis.call('HSET', key, field, until_ms .. ' ' .. row)
  local own = tonumber(until_ms)
  if own == 0 or (kept and left == -1) then
    redis.call('PERSIST', key)
  else
    redis.call('PEXPIRE', key, math.max(own - now, kept and left or 1, 1))
  end
end
local function is_live(held, now)
  if not held then return false end
  local ends = tonumber(string.sub(held, 1, string.find(held, ' ', 1, true) - 1))
  return ends == 0 or ends > now
end
local now = tonumber(ARGV[2])
"""
# Looks for expired rows in a small hash, and in a large one now and then.
_ADD: Final = (
    _WRITE
    + """
local held = redis.call('HGET', KEYS[1], ARGV[1])
if is_live(held, now) then return held end
local size = redis.call('HLEN', KEYS[1])
if size <= 64 or size % 64 == 0 or size >= tonumber(ARGV[5]) then
  local rows = redis.call('HGETALL', KEYS[1])
  for at = 1, #rows, 2 do
    if not is_live(rows[at + 1], now) then redis.call('HDEL', KEYS[1], rows[at]) end
  end
  if redis.call('HLEN', KEYS[1]) >= tonumber(ARGV[5]) then return false end
end
write(KEYS[1], ARGV[1], ARGV[3], ARGV[4], now)
return ARGV[3] .. ' ' .. ARGV[4]
"""
)
_RENEW: Final = (
    _WRITE
    + """
local held = redis.call('HGET', KEYS[1], ARGV[1])
if not is_live(held, now) then return 0 end
local space = string.find(held, ' ', 1, true)
local ends, until_ms = tonumber(string.sub(held, 1, space - 1)), tonumber(ARGV[3])
if ends ~= 0 and (until_ms == 0 or until_ms > ends) then
  write(KEYS[1], ARGV[1], ARGV[3], string.sub(held, space + 1), now)
end
return 1
"""
)
_PUT: Final = _WRITE + "write(KEYS[1], ARGV[1], ARGV[3], ARGV[4], now)\n"


@final
class RedisStore:
    """
    Rows in one server.

    Args:
        where: The server.
    """

    blocks: bool = True

    def __init__(self, where: Endpoint) -> None:
        self._link = Link(where, timeout_seconds=_TIMEOUT_SECONDS, max_connections=_CONNECTIONS)
        self._add = (_ADD, sha_of(_ADD))
        self._put = (_PUT, sha_of(_PUT))
        self._renew = (_RENEW, sha_of(_RENEW))

    def get(self, group: str, key: str, /, *, now: float) -> Row | None:
        """The live row."""
        held = self._asked(lambda client: client.hget(PREFIX + group, key))
        row = None if held is None else _row(held)
        return row if row is not None and row[1] > now else None

    def add(self, group: str, key: str, value: bytes, /, *, until: float, now: float, most: int) -> Row:
        """The live row, which is *value* if there was none."""
        held = self._scripted(self._add, group, [key, _ms(now), _ms(until), value, most])
        if held is None:
            raise FullError
        return _row(held)

    def put(self, group: str, key: str, value: bytes, /, *, until: float, now: float) -> None:
        """Set the row."""
        self._scripted(self._put, group, [key, _ms(now), _ms(until), value])

    def renew(self, group: str, key: str, /, *, until: float, now: float) -> bool:
        """Let a live row live at least until then; False if there is none."""
        return bool(self._scripted(self._renew, group, [key, _ms(now), _ms(until)]))

    def keys(self, groups: Sequence[str], /, *, now: float) -> list[str]:
        """The keys of the live rows of all *groups*."""

        def all_of(client: Any) -> Any:
            with client.pipeline(transaction=False) as asked:
                for group in groups:
                    asked.hgetall(PREFIX + group)
                return asked.execute()

        held: list[dict[bytes, bytes]] = self._asked(all_of)
        return [key.decode("ascii") for rows in held for key, row in rows.items() if _row(row)[1] > now]

    def remove(self, *places: tuple[str, str]) -> None:
        """Delete rows, if they are there."""

        def removed(client: Any) -> None:
            with client.pipeline(transaction=False) as asked:
                for group, key in places:
                    asked.hdel(PREFIX + group, key)
                asked.execute()

        self._asked(removed)

    def remove_groups(self, prefix: str, /) -> int:
        """Delete every group whose name begins with *prefix*."""
        return self._asked(lambda client: _removed(client, PREFIX + prefix))  # type: ignore[no-any-return]  # an int

    def close(self) -> None:
        """Close idle connections."""
        self._link.close()

    def _asked(self, question: Any) -> Any:
        try:
            return self._link.ask(question)
        except StoreDown as error:
            failure = failed(error)
        raise failure

    def _scripted(self, script: tuple[str, str], group: str, arguments: Collection[Any]) -> Any:
        try:
            return self._link.script(*script, [PREFIX + group], list(arguments))
        except StoreDown as error:
            failure = failed(error)
        raise failure


def _removed(client: Any, prefix: str) -> int:
    # Group names are letters, digits, "-", "_" and "/": nothing that a pattern takes for more than itself.
    names = list(client.scan_iter(match=f"{prefix}*", count=_SCANNED))
    gone = 0
    for name in names:
        gone += client.hlen(name)
        client.unlink(name)
    return gone


def _ms(seconds: float) -> int:
    return 0 if math.isinf(seconds) else max(1, math.ceil(seconds * 1000))


def _row(held: bytes) -> Row:
    ends, space, value = held.partition(b" ")
    if not space or not ends.isdigit():
        raise SpeakableError(ALTERED)
    until = int(ends)
    return value, math.inf if until == 0 else until / 1000
