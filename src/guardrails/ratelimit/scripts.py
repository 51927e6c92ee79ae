"""
The two scripts that a shared store runs: take all units of a message or none, and give them back by id.

Rules of both:
- One clock, the server's, which inside a script stands still. Where it stepped back, a counter's own newest time counts.
- Nothing is taken unless every counter admits it; a refusal writes nothing.
- What was taken is written under the id of the taking, for as long as it can be given back. Giving back is done once;
  giving back what was not taken yet forbids taking it later, so the order in which the two arrive does not matter.
- A taking that is executed after its caller stopped waiting (a server that hung) takes nothing.

Counters: a moving window is a sorted set of takings by time, with the negative total as the score of `n`; a fixed window and
a sliding one are hashes of two and three whole numbers. Times are microseconds, exact in a double until the year 2255.

TAKE    KEYS check, grant, counters...  ARGV mode, key check value, older values, not after, grant's life in ms,
        and in one text (each argument costs the client) strategy, units, amount and length for each counter
        returns {code, server's time, number of the counter, units left or microseconds to wait}
RELEASE KEYS grant, counters...         ARGV grant's life in ms, then strategy, units and length for each counter
"""

from __future__ import annotations

from typing import Final

REFUSED: Final = 0
TAKEN: Final = 1
LATE: Final = 2
OTHER_KEY: Final = 3
GIVEN_BACK: Final = 4

TAKE: Final = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local mode, limit = ARGV[1], tonumber(ARGV[4])
if limit > 0 and now > limit then return {2, now} end
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
  if earlier then return {1, now, 1, 0} end
end
local function num(x) return string.format('%.0f', x) end
local asked = {}
for word in string.gmatch(ARGV[6], '%S+') do asked[#asked + 1] = word end
local state, worst, wait, tight, least = {}, 0, 0, 1, math.huge
for i = 1, #KEYS - 2 do
  local key, base = KEYS[i + 2], (i - 1) * 4
  local kind, units = asked[base + 1], tonumber(asked[base + 2])
  local amount, length = tonumber(asked[base + 3]), tonumber(asked[base + 4])
  local s = {}
  if kind == 'm' then
    local newest = redis.call('ZREVRANGE', key, 0, 0, 'WITHSCORES')
    s.at = math.max(now, newest[2] and tonumber(newest[2]) or 0)
    s.used = -(tonumber(redis.call('ZSCORE', key, 'n') or 0))
    if s.used > 0 then
      for _, one in ipairs(redis.call('ZRANGEBYSCORE', key, 0, num(s.at - length))) do
        s.used = s.used - tonumber(string.match(one, ':(%d+)$'))
      end
    end
  elseif kind == 'f' then
    local got = redis.call('HMGET', key, 'e', 'n')
    s.ends = tonumber(got[1] or 0)
    s.used = now < s.ends and tonumber(got[2] or 0) or 0
  else
    local got = redis.call('HMGET', key, 'i', 'p', 'c')
    local index = tonumber(got[1] or -2)
    s.at = math.max(now, index * length)
    s.index = math.floor(s.at / length)
    s.p, s.c = 0, 0
    if s.index == index then s.p, s.c = tonumber(got[2]), tonumber(got[3])
    elseif s.index == index + 1 then s.p = tonumber(got[3]) end
    s.rest = length - (s.at - s.index * length)
    s.used = math.floor(s.p * (s.rest / length) + 0.000001) + s.c
  end
  local left = amount - s.used - units
  if left < 0 then
    local need = -left
    local free
    if units > amount then free = -1
    elseif kind == 'f' then free = s.ends - now
    elseif kind == 'm' then
      free = s.at + length - now
      local from = '(' .. num(math.max(s.at - length, 0))
      local log = redis.call('ZRANGEBYSCORE', key, from, '+inf', 'WITHSCORES', 'LIMIT', 0, need)
      for j = 1, #log, 2 do
        need = need - tonumber(string.match(log[j], ':(%d+)$'))
        if need <= 0 then free = tonumber(log[j + 1]) + length - now break end
      end
    else
      local p, room, begins = s.p, amount - units - s.c, s.index * length
      if room < 0 then p, room, begins = s.c, amount - units, begins + length end
      local rest = math.min(length, math.floor(((room + 1) * length - 1) / p))
      free = begins + length - rest - now
    end
    if free >= 0 then free = math.max(free, 1) end
    if worst == 0 or free == -1 or (wait >= 0 and free > wait) then
      if not (wait == -1 and worst > 0) then worst, wait = i, free end
    end
  elseif left < least then tight, least = i, left end
  state[i] = s
end
if worst > 0 then return {0, now, worst, wait} end
if mode == 'look' then return {1, now, tight, least} end
local marks = {}
for i = 1, #KEYS - 2 do
  local key, base = KEYS[i + 2], (i - 1) * 4
  local kind, units, length = asked[base + 1], tonumber(asked[base + 2]), tonumber(asked[base + 4])
  local s = state[i]
  if kind == 'm' then
    redis.call('ZREMRANGEBYSCORE', key, 0, num(s.at - length))
    redis.call('ZADD', key, num(s.at), KEYS[2] .. ':' .. num(units), num(-(s.used + units)), 'n')
    marks[i] = '0'
  elseif kind == 'f' then
    if s.used == 0 then s.ends = now + length end
    redis.call('HSET', key, 'e', num(s.ends), 'n', num(s.used + units))
    marks[i] = num(s.ends)
  else
    redis.call('HSET', key, 'i', num(s.index), 'p', num(s.p), 'c', num(s.c + units))
    marks[i] = num(s.index)
  end
  redis.call('PEXPIRE', key, num(math.ceil(length / 1000) * (kind == 's' and 2 or 1) + 1000))
end
if not named then redis.call('SET', KEYS[1], (known and known .. ' ' or '') .. ARGV[2]) end
redis.call('SET', KEYS[2], table.concat(marks, ' '), 'PX', ARGV[5])
return {1, now, tight, least}
"""

RELEASE: Final = """
local grant = redis.call('GET', KEYS[1])
redis.call('SET', KEYS[1], 'x', 'PX', ARGV[1])
if not grant or grant == 'x' then return 0 end
local i = 0
for mark in string.gmatch(grant, '%S+') do
  i = i + 1
  local key, base = KEYS[i + 1], 1 + (i - 1) * 3
  local kind, units = ARGV[base + 1], tonumber(ARGV[base + 2])
  if kind == 'm' then
    if redis.call('ZREM', key, KEYS[1] .. ':' .. ARGV[base + 2]) == 1 then
      local total = tonumber(redis.call('ZSCORE', key, 'n')) + units
      if total == 0 then redis.call('DEL', key) else redis.call('ZADD', key, string.format('%.0f', total), 'n') end
    end
  elseif kind == 'f' then
    if redis.call('HGET', key, 'e') == mark then redis.call('HINCRBY', key, 'n', -units) end
  else
    local index = redis.call('HGET', key, 'i')
    if index == mark then redis.call('HINCRBY', key, 'c', -units)
    elseif index and tonumber(index) == tonumber(mark) + 1 then redis.call('HINCRBY', key, 'p', -units) end
  end
end
return 1
"""
