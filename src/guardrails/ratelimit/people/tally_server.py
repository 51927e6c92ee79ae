"""
Rows of caps and counts in Redis or Valkey, for all processes; the clock is the server's.

TALLY   KEYS key check, grant, then one counter for each want
        ARGV mode (look, take, stand), key label, older labels, grant's life in ms, client's last word in the server's
        microseconds (0: none), then member, amount, since, until, length, keep in ms for each want
        returns {code, server's time, want, free at}: 0 full, 1 taken, 2 too late, 3 another key, 4 given back, 5 other times;
        of `stand` {1, server's time, then what is used and the free at of each want}
GIVE    KEYS grant, then counters  ARGV grant's life in ms, then a member for each want
FORGET  KEYS key check, then counters  ARGV key label, older labels, then a member for each want
        returns how many had rows, or -1: another key
A counter of messages is a sorted set of takings by time; one of people has a hash beside it, of how many rows each has, and a
list of rows in the order of their taking: those that are not given back any more become one row for each person.
"""

from __future__ import annotations

import time
from collections import deque
from collections.abc import Hashable, Sequence
from typing import Any, Final, final

from guardrails.errors import Unavailable
from guardrails.keys import Digester
from guardrails.ratelimit.keeper import Keeper
from guardrails.ratelimit.people.server import Server
from guardrails.ratelimit.people.tally import Ask, Full, Stand, Want, keep_of
from guardrails.ratelimit.people.tally_file import OTHER_KEY
from guardrails.server.link import sha_of

_PREFIX: Final = "guardrails:people:"
_GRANT_MS: Final = 600_000
_TRIES: Final = 4
_OWED: Final = 10_000

TALLY: Final = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local mode, last = ARGV[1], tonumber(ARGV[5])
if last > 0 and now > last then return {2, now} end
local known = redis.call('GET', KEYS[1])
local named = known and string.find(known, ARGV[2], 1, true)
if known and not named then
  local ours = false
  for older in string.gmatch(ARGV[3], '%S+') do ours = ours or string.find(known, older, 1, true) end
  if not ours then return {3, now} end
end
if mode == 'take' then
  local earlier = redis.call('GET', KEYS[2])
  if earlier == 'x' then return {4, now} end
  if earlier then return {1, now} end
end
local function num(x) return string.format('%.0f', x) end
local function forget(key, member)
  if redis.call('HINCRBY', key .. ':n', member, -1) <= 0 then redis.call('HDEL', key .. ':n', member) end
end
local function settle(key)
  for _ = 1, 4 do
    local first = redis.call('LINDEX', key .. ':q', 0)
    local when, row = string.match(first or '', '^(%d+) (.*)$')
    if not when or tonumber(when) > now - tonumber(ARGV[4]) * 1000 then return end
    redis.call('LPOP', key .. ':q')
    if redis.call('ZREM', key, row) == 1 then
      local who = string.match(row, '^(%S+) ')
      local last = redis.call('ZSCORE', key, who .. ' s')
      if last then forget(key, who) end
      redis.call('ZADD', key, num(math.max(tonumber(when), last and tonumber(last) or 0)), who .. ' s')
    end
  end
end
local mine, owns, worst, free, at, stands = {}, {}, 0, 0, {}, {}
for i = 1, #KEYS - 2 do
  local key, base = KEYS[i + 2], 5 + (i - 1) * 6
  local member, amount = ARGV[base + 1], tonumber(ARGV[base + 2])
  local since, till, length = tonumber(ARGV[base + 3]), tonumber(ARGV[base + 4]), tonumber(ARGV[base + 5])
  if length == 0 and (now < since or now >= till) then return {5, now} end
  local newest = redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')
  at[i] = math.max(now, newest[2] and tonumber(newest[2]) or 0)
  local begin = length > 0 and at[i] - length or since - 1
  local counts, used = true, 0
  owns[key] = owns[key] or 0
  if member ~= '' then
    while true do
      local old = redis.call('ZRANGEBYSCORE', key, 0, num(begin), 'LIMIT', 0, 500)
      if #old == 0 then break end
      if mode ~= 'take' then break end
      for _, row in ipairs(old) do
        redis.call('ZREM', key, row)
        forget(key, string.match(row, '^(%S+) '))
      end
    end
    local gone = {}
    if mode ~= 'take' then
      for _, row in ipairs(redis.call('ZRANGEBYSCORE', key, 0, num(begin))) do
        local who = string.match(row, '^(%S+) ')
        gone[who] = (gone[who] or 0) + 1
      end
    end
    local rows = tonumber(redis.call('HGET', key .. ':n', member) or 0) - (gone[member] or 0)
    counts = rows <= 0 and not mine[key .. member]
    mine[key .. member] = true
    used = redis.call('HLEN', key .. ':n')
    for who, many in pairs(gone) do
      if tonumber(redis.call('HGET', key .. ':n', who) or 0) <= many then used = used - 1 end
    end
  else
    used = redis.call('ZCOUNT', key, '(' .. num(begin), '+inf')
  end
  local when = 0
  if counts or mode == 'stand' then
    local own = mode == 'stand' and 0 or owns[key]
    owns[key] = own + 1
    if used + own >= amount then
      if own < amount then
        local need = used + own + 1 - amount
        if length == 0 then when = till
        elseif member == '' then
          local row = redis.call('ZRANGEBYSCORE', key, '(' .. num(begin), '+inf', 'WITHSCORES', 'LIMIT', need - 1, 1)
          when = (row[2] and tonumber(row[2]) or now) + length
        else
          local left = {}
          when = now + length
          local rows = redis.call('ZRANGEBYSCORE', key, '(' .. num(begin), '+inf', 'WITHSCORES', 'LIMIT', 0, 5000)
          for j = 1, #rows, 2 do
            local who = string.match(rows[j], '^(%S+) ')
            left[who] = (left[who] or tonumber(redis.call('HGET', key .. ':n', who) or 1)) - 1
            if left[who] == 0 then need = need - 1 end
            if need == 0 then when = tonumber(rows[j + 1]) + length break end
          end
        end
      end
      if worst == 0 or when == 0 or (free > 0 and when > free) then worst, free = i, when end
    end
  end
  stands[#stands + 1] = used
  stands[#stands + 1] = when
end
if mode == 'stand' then
  local told = {1, now}
  for _, one in ipairs(stands) do told[#told + 1] = one end
  return told
end
if worst > 0 then return {0, now, worst, free} end
if mode == 'look' then return {1, now} end
for i = 1, #KEYS - 2 do
  local key, base = KEYS[i + 2], 5 + (i - 1) * 6
  local member, keep = ARGV[base + 1], tonumber(ARGV[base + 6])
  redis.call('ZADD', key, num(at[i]), (member == '' and '-' or member) .. ' ' .. KEYS[2] .. ' ' .. i)
  if member ~= '' then
    redis.call('HINCRBY', key .. ':n', member, 1)
    redis.call('RPUSH', key .. ':q', num(at[i]) .. ' ' .. member .. ' ' .. KEYS[2] .. ' ' .. i)
    redis.call('PEXPIRE', key .. ':n', keep)
    redis.call('PEXPIRE', key .. ':q', keep)
    settle(key)
  else
    redis.call('ZREMRANGEBYSCORE', key, 0, num(now - keep * 1000))
  end
  redis.call('PEXPIRE', key, keep)
end
if not named then redis.call('SET', KEYS[1], (known and known .. ' ' or '') .. ARGV[2]) end
redis.call('SET', KEYS[2], '1', 'PX', ARGV[4])
return {1, now}
"""

GIVE: Final = """
local grant = redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], 'x', 'PX', ARGV[1])
if grant ~= '1' then return 0 end
for i = 1, #KEYS - 1 do
  local key, member = KEYS[i + 1], ARGV[i + 1]
  if redis.call('ZREM', key, (member == '' and '-' or member) .. ' ' .. KEYS[1] .. ' ' .. i) == 1 and member ~= '' then
    if redis.call('HINCRBY', key .. ':n', member, -1) <= 0 then redis.call('HDEL', key .. ':n', member) end
  end
end
return 1
"""

FORGET: Final = """
local known = redis.call('GET', KEYS[1])
local ours = not known or string.find(known, ARGV[1], 1, true)
for older in string.gmatch(ARGV[2], '%S+') do ours = ours or string.find(known, older, 1, true) end
if not ours then return -1 end
local found = 0
for i = 2, #KEYS do
  local key, member = KEYS[i], ARGV[i + 1]
  if member == '' then
    found = found + redis.call('DEL', key)
    redis.call('DEL', key .. ':n', key .. ':q')
  elseif redis.call('HDEL', key .. ':n', member) == 1 then
    found = found + 1
    for _, row in ipairs(redis.call('ZRANGE', key, 0, -1)) do
      if string.sub(row, 1, #member + 1) == member .. ' ' then redis.call('ZREM', key, row) end
    end
  end
end
return found
"""

_TALLY_SHA: Final = sha_of(TALLY)
_GIVE_SHA: Final = sha_of(GIVE)
_FORGET_SHA: Final = sha_of(FORGET)
_FULL, _TAKEN, _LATE, _OTHER_KEY, _OTHER_TIMES = 0, 1, 2, 3, 5


@final
class ServerTally:
    """
    Rows that all processes share.

    Args:
        server: The server.
        digester: Whose key the digests are made with.
        place: What it is called, for who asks it together.
        timeout_seconds: How long a question may take.
    """

    blocks: bool = True
    is_remote: bool = True

    def __init__(self, server: Server, digester: Digester, *, place: Hashable, timeout_seconds: float) -> None:
        self._server = server
        self._place = place
        self._timeout = timeout_seconds
        self._label, *older = digester.all_labels("tally")
        self._older = " ".join(older)
        self._offset: int | None = None  # server's microseconds minus our monotonic ones
        self._owed: deque[tuple[str, Sequence[Want]]] = deque(maxlen=_OWED)
        self._keeper = Keeper(self)

    @property
    def place(self) -> Hashable:
        """The server."""
        return self._place

    def look(self, ask: Ask, now: int, /) -> Full | None:
        """Whether the rows would fit."""
        return self._judged("look", "none", ask, now)

    def take(self, grant: str, ask: Ask, now: int, /) -> Full | None:
        """Take all rows, or none."""
        return self._judged("take", grant, ask, now)

    def stand(self, ask: Ask, now: int, /) -> list[Stand]:
        """How each counter stands."""
        _, rest = self._asked("stand", "none", ask, now)
        return list(map(Stand, rest[::2], rest[1::2]))

    def forget(self, wants: Sequence[Want], /) -> int:
        """Forget rows."""
        keys = [f"{_PREFIX}tally-key", *(f"{_PREFIX}t:{want.counter}" for want in wants)]
        arguments = [self._label, self._older, *(want.member for want in wants)]
        found: int = self._server.run(FORGET, _FORGET_SHA, keys, arguments)
        if found < 0:
            raise Unavailable(f"people: {OTHER_KEY}")
        return found

    def give_back(self, grant: str, ask: Ask, now: int, /) -> None:
        """Undo a taking; where the server does not answer, when it does again."""
        self._owed.append((grant, ask(now)))
        try:
            self._flush()
        except Unavailable:
            self._keeper.wake()

    def tell(self) -> float | None:
        """Give back what is owed; the keeper calls it."""
        try:
            self._flush()
        except Unavailable:
            return 0.0
        return None

    def close(self) -> None:
        """Close idle connections."""
        self._server.close()

    def _judged(self, mode: str, grant: str, ask: Ask, now: int) -> Full | None:
        code, rest = self._asked(mode, grant, ask, now)
        if code == _FULL:
            number, free_at = rest
            return Full(number - 1, free_at)
        return None

    def _asked(self, mode: str, grant: str, ask: Ask, now: int) -> tuple[int, list[int]]:
        for _ in range(_TRIES):
            code, server_now, *rest = self._once(mode, grant, ask(now))
            self._offset = server_now - time.monotonic_ns() // 1_000
            if code == _OTHER_TIMES:  # the server has another day than this machine
                now = server_now
            elif code != _LATE:
                break
        if code in (_FULL, _TAKEN):
            return code, rest
        raise Unavailable(f"people: {OTHER_KEY}" if code == _OTHER_KEY else "people: the store does not answer in time")

    def _once(self, mode: str, grant: str, wants: Sequence[Want]) -> list[int]:
        offset, last = self._offset, 0
        if offset is not None:
            last = time.monotonic_ns() // 1_000 + offset + int(self._timeout * 1_000_000)
        keys = [f"{_PREFIX}tally-key", f"{_PREFIX}g:{grant}", *(f"{_PREFIX}t:{want.counter}" for want in wants)]
        arguments: list[Any] = [mode, self._label, self._older, _GRANT_MS, last]
        for want in wants:
            arguments += [want.member, want.amount, want.since, want.until, want.length, keep_of(want) // 1_000]
        found: list[int] = self._server.run(TALLY, _TALLY_SHA, keys, arguments)
        return found

    def _flush(self) -> None:
        while True:
            try:
                grant, wants = self._owed.popleft()
            except IndexError:
                return
            keys = [f"{_PREFIX}g:{grant}", *(f"{_PREFIX}t:{want.counter}" for want in wants)]
            try:
                self._server.run(GIVE, _GIVE_SHA, keys, [_GRANT_MS, *(want.member for want in wants)])
            except Unavailable:
                self._owed.append((grant, wants))
                raise
