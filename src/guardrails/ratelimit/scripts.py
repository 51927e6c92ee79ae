"""
The scripts that a shared store runs: take all units of a message or none, give them back by id, keep leases alive.

Rules of all:
- One clock, the server's, which inside a script stands still. Where it stepped back, a counter's own newest time counts.
- Nothing is taken unless every counter admits it; a refusal writes nothing but, if its sender waits, a place in the line.
- What was taken is written under the id of the taking, for as long as it can be given back. Giving back is done once for
  each counter; giving back what was not taken yet forbids taking it later, so the order in which the two arrive does not
  matter.
- A taking or a renewal that is executed after its caller stopped waiting (a server that hung) does nothing.
- Units of those who stand in a counter's line count as taken for whoever came later. A place lives as long as its owner
  says that it will look again, and a little more.

Counters: a moving window is a sorted set of takings by time, with the negative total as the score of `n`; a fixed window and
a sliding one are hashes of two and four whole numbers; leases are a sorted set of takings by the time at which they end.
Times are microseconds, exact in a double until the year 2255.

TAKE    KEYS check, grant, all who wait, counters...
        ARGV one text, for each argument costs the client: mode, not after, grant's life in ms, how long a place of those
        who wait lives, how long they may wait, key check value, and kind, units, amount and length for each counter
        (microseconds where nothing else is said); and older key check values
        modes: take; wait (take, or a place in the line); look (take nothing); force (whatever the amount is);
        show (what is used)
        returns whole numbers in one text: code, server's time, and number of the counter and units left; or number of the
        counter that refuses for longest, microseconds to wait, and the numbers of all that refuse; or units used and
        microseconds for each counter
RELEASE KEYS grant, all who wait, counters...
        ARGV grant's life in ms, then place in the grant, kind, units taken, units to give back and length for each counter;
        -1 as the first place gives back all of it, and forbids the taking where it has not happened yet
RENEW   KEYS counters of leases...  ARGV lease in microseconds, not after, then the taking for each
        returns code and server's time
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
local function num(x) return string.format('%.0f', x) end
local function say(code, ...)
  local words = {...}
  for i = 1, #words do words[i] = num(words[i]) end
  return code .. ' ' .. num(now) .. ' ' .. table.concat(words, ' ')
end
local asked = {}
for word in string.gmatch(ARGV[1], '%S+') do asked[#asked + 1] = word end
local mode, limit, check = asked[1], tonumber(asked[2]), asked[6]
if limit > 0 and now > limit then return say(2) end
local both = redis.call('MGET', KEYS[1], KEYS[2])
local known, earlier = both[1], both[2]
local named = known and string.find(known, check, 1, true)
if known and not named then
  local ours = false
  for older in string.gmatch(ARGV[2], '%S+') do ours = ours or string.find(known, older, 1, true) end
  if not ours then return say(3) end
end
local takes = mode == 'take' or mode == 'wait' or mode == 'force'
if takes then
  if earlier == 'x' then return say(4) end
  if earlier then return say(1, 1, 0) end
end
local lines = redis.call('EXISTS', KEYS[3]) == 1
local function ahead(key)
  local sum = 0
  for _, place in ipairs(redis.call('ZRANGE', key .. ':line', 0, -1)) do
    local id, units = string.match(place, '^(.*):(%d+)$')
    if id == KEYS[2] then break end
    local ends = redis.call('ZSCORE', KEYS[3], id)
    if ends and tonumber(ends) > now then sum = sum + tonumber(units)
    elseif takes then redis.call('ZREM', key .. ':line', place) end
  end
  return sum
end
local state, worst, wait, tight, least = {}, 0, 0, 1, math.huge
local refusing, seen = {}, {}
for i = 1, #KEYS - 3 do
  local key, base = KEYS[i + 3], i * 4 + 2
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
        s.old = true
      end
    end
  elseif kind == 'f' then
    local got = redis.call('HMGET', key, 'e', 'n')
    s.ends = tonumber(got[1] or 0)
    s.used = now < s.ends and tonumber(got[2] or 0) or 0
  elseif kind == 'c' then
    s.used = redis.call('ZCOUNT', key, '(' .. num(now), '+inf')
  else
    local got = redis.call('HMGET', key, 'i', 'p', 'c', 'b')
    local index = tonumber(got[1] or -2)
    s.began = got[4] or num(now)
    s.at = math.max(now, index * length)
    s.index = math.floor(s.at / length)
    s.p, s.c, s.same = 0, 0, s.index == index
    if s.index == index then s.p, s.c = tonumber(got[2]), tonumber(got[3])
    elseif s.index == index + 1 then s.p = tonumber(got[3]) end
    s.rest = length - (s.at - s.index * length)
    s.used = math.floor(s.p * (s.rest / length) + 0.000001) + s.c
  end
  local before = lines and ahead(key) or 0
  local left = amount - s.used - before - units
  local free = 0
  if left < 0 then
    local need = -left
    if units > amount then free = -1
    elseif s.used == 0 then free = 1
    elseif kind == 'f' then free = s.ends - now
    elseif kind == 'c' then
      local first = redis.call('ZRANGEBYSCORE', key, '(' .. num(now), '+inf', 'WITHSCORES', 'LIMIT', 0, 1)
      free = tonumber(first[2]) - now
    elseif kind == 'm' then
      free = s.at + length - now
      local from = '(' .. num(math.max(s.at - length, 0))
      local log = redis.call('ZRANGEBYSCORE', key, from, '+inf', 'WITHSCORES', 'LIMIT', 0, need)
      for j = 1, #log, 2 do
        need = need - tonumber(string.match(log[j], ':(%d+)$'))
        if need <= 0 then free = tonumber(log[j + 1]) + length - now break end
      end
    else
      local p, room, begins = s.p, amount - units - before - s.c, s.index * length
      if room < 0 then p, room, begins = s.c + before, amount - units, begins + length end
      local rest = p > 0 and math.min(length, math.floor(((room + 1) * length - 1) / p)) or length
      free = begins + length - rest - now
    end
    if free >= 0 then free = math.max(free, 1) end
    if worst == 0 or free == -1 or (wait >= 0 and free > wait) then
      if not (wait == -1 and worst > 0) then worst, wait = i, free end
    end
    refusing[#refusing + 1] = i
  elseif left < least then tight, least = i, left end
  state[i] = s
  seen[#seen + 1], seen[#seen + 2] = s.used, free
end
if mode == 'show' then return say(1, unpack(seen)) end
if worst > 0 and mode ~= 'force' then
  if mode == 'wait' and wait >= 0 and wait <= tonumber(asked[5]) then
    redis.call('ZREMRANGEBYSCORE', KEYS[3], 0, num(now))
    redis.call('ZADD', KEYS[3], num(now + tonumber(asked[4])), KEYS[2])
    redis.call('PEXPIRE', KEYS[3], 60000)
    for i = 1, #KEYS - 3 do
      local line = KEYS[i + 3] .. ':line'
      local place = KEYS[2] .. ':' .. asked[i * 4 + 4]
      if not redis.call('ZSCORE', line, place) then redis.call('ZADD', line, num(now), place) end
      redis.call('PEXPIRE', line, 60000)
    end
  end
  return say(0, worst, wait, unpack(refusing))
end
if mode == 'look' then return say(1, tight, least) end
local marks = {}
for i = 1, #KEYS - 3 do
  local key, base = KEYS[i + 3], i * 4 + 2
  local kind, units, length = asked[base + 1], tonumber(asked[base + 2]), tonumber(asked[base + 4])
  local s = state[i]
  local lasts = true
  if kind == 'm' then
    if s.old then redis.call('ZREMRANGEBYSCORE', key, 0, num(s.at - length)) end
    redis.call('ZADD', key, num(s.at), KEYS[2] .. ':' .. num(units), num(-(s.used + units)), 'n')
    marks[i] = '0'
  elseif kind == 'f' then
    if s.used == 0 then s.ends = now + length else lasts = false end
    redis.call('HSET', key, 'e', num(s.ends), 'n', num(s.used + units))
    marks[i] = num(s.ends)
  elseif kind == 'c' then
    redis.call('ZREMRANGEBYSCORE', key, 0, num(now))
    redis.call('ZADD', key, num(now + length), KEYS[2])
    marks[i] = '0'
  else
    if s.same then
      redis.call('HINCRBY', key, 'c', units)
      lasts = false
    else
      redis.call('HSET', key, 'i', num(s.index), 'p', num(s.p), 'c', num(units), 'b', s.began)
    end
    marks[i] = num(s.index) .. ':' .. s.began  -- what was taken before a reset is not in the counter that came after it
  end
  -- A key is told how long it lives when its window begins: what is added later does not make it live longer.
  if lasts then redis.call('PEXPIRE', key, num(math.ceil(length / 1000) * (kind == 's' and 2 or 1) + 1000)) end
end
if lines then redis.call('ZREM', KEYS[3], KEYS[2]) end
if not named then redis.call('SET', KEYS[1], (known and known .. ' ' or '') .. check) end
redis.call('SET', KEYS[2], table.concat(marks, ' '), 'PX', asked[3])
if mode == 'force' then return say(1, 1, 0) end
return say(1, tight, least)
"""

RELEASE: Final = """
local function num(x) return string.format('%.0f', x) end
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
local grant = redis.call('GET', KEYS[1])
redis.call('ZREM', KEYS[2], KEYS[1])
if not grant or grant == 'x' then
  for i = 1, #KEYS - 2 do
    if ARGV[3 + (i - 1) * 5] == 'c' then redis.call('ZREM', KEYS[i + 2], KEYS[1]) end
  end
  if ARGV[2] == '-1' then redis.call('SET', KEYS[1], 'x', 'PX', ARGV[1]) end
  return 0
end
local marks = {}
for mark in string.gmatch(grant, '%S+') do marks[#marks + 1] = mark end
local whole = ARGV[2] == '-1'
for i = 1, #KEYS - 2 do
  local key, base = KEYS[i + 2], 1 + (i - 1) * 5
  local place, kind = whole and i or tonumber(ARGV[base + 1]), ARGV[base + 2]
  local taken, units, length = tonumber(ARGV[base + 3]), tonumber(ARGV[base + 4]), tonumber(ARGV[base + 5])
  local mark = marks[place]
  if kind == 'c' then redis.call('ZREM', key, KEYS[1]) end
  if mark and mark ~= '-' then
    marks[place] = '-'
    if kind == 'm' then
      local member = KEYS[1] .. ':' .. num(taken)
      local at = redis.call('ZSCORE', key, member)
      if at then
        redis.call('ZREM', key, member)
        if units < taken then redis.call('ZADD', key, at, KEYS[1] .. ':' .. num(taken - units)) end
        local total = tonumber(redis.call('ZSCORE', key, 'n')) + units
        if total == 0 then redis.call('DEL', key) else redis.call('ZADD', key, num(total), 'n') end
      end
    elseif kind == 'f' then
      if redis.call('HGET', key, 'e') == mark and now < tonumber(mark) then redis.call('HINCRBY', key, 'n', -units) end
    elseif kind == 's' then
      local index, began = string.match(mark, '^(%d+):(%d+)$')
      local got = redis.call('HMGET', key, 'i', 'b')
      if got[1] and got[2] == began then
        local later = tonumber(got[1]) - tonumber(index)
        if later == 0 then redis.call('HINCRBY', key, 'c', -units)
        elseif later == 1 then redis.call('HINCRBY', key, 'p', -units) end
      end
    end
  end
end
redis.call('SET', KEYS[1], whole and 'x' or table.concat(marks, ' '), 'PX', ARGV[1])
return 1
"""

RENEW: Final = """
local t = redis.call('TIME')
local now = t[1] * 1000000 + t[2]
if now > tonumber(ARGV[2]) then return '2 ' .. string.format('%.0f', now) end
local ends = string.format('%.0f', now + tonumber(ARGV[1]))
for i, key in ipairs(KEYS) do
  redis.call('ZADD', key, ends, ARGV[i + 2])
  redis.call('PEXPIRE', key, math.ceil(tonumber(ARGV[1]) / 1000) + 1000)
end
return '1 ' .. string.format('%.0f', now)
"""
