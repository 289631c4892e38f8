-- Shared by all scripts. ARGV[1] is what all keys start with, ARGV[2] the id of the call: one that comes again
-- (its answer was lost on the way) gets the answer of the first time and changes nothing.
local prefix, call_id = ARGV[1], ARGV[2]
local cursor = 2

local function take()
  cursor = cursor + 1
  return ARGV[cursor]
end

local function take_number()
  return tonumber(take())
end

local function key(...)
  return prefix .. ':' .. table.concat({...}, ':')
end

local function whole(number)
  return string.format('%.0f', number)
end

-- Times that memories were found, since the hashes were written: writing to a hash would index it anew with its vector.
-- A hash per tenant, id to "count last"; `settle.lua` moves them over before a query asks for such times.
local function accesses_of(token)
  return key('acc', token)
end

local function split_access(packed)
  return string.match(packed, '^(%S+) (%S+)$')
end

local function earlier_answer()
  local packed = redis.call('GET', key('done', call_id))
  return packed and cmsgpack.unpack(packed)
end

local function remember(answer)
  redis.call('SET', key('done', call_id), cmsgpack.pack(answer), 'EX', 60)
  return answer
end

local function skip_fields()
  local start = cursor
  cursor = cursor + 1 + 2 * tonumber(ARGV[cursor + 1])
  return start
end

-- One HSET (each one makes the engine index the hash anew) of one field and of those that stand in ARGV behind `start`.
local function put_fields(name, field, value, start)
  redis.call('HSET', name, field, value, unpack(ARGV, start + 2, start + 1 + 2 * tonumber(ARGV[start + 1])))
end

-- Jobs: a hash each; sorted sets `due` and `leases` over all tenants, and per tenant and state by age.
local function job_fields(id, ...)
  return redis.call('HMGET', key('j', id), ...)
end

local function unplace(id)
  local found = job_fields(id, 'tenant', 'state')
  redis.call('ZREM', key('jobs', found[2], found[1]), id)
  redis.call('ZREM', key('jobs', 'due'), id)
  redis.call('ZREM', key('jobs', 'leases'), id)
  redis.call('ZREM', key('jobs', 'dead'), id)
  redis.call('ZREM', key('jobs', 'waiting'), id)
end

local function place(id, state, at)
  unplace(id)
  redis.call('HSET', key('j', id), 'state', state)
  local found = job_fields(id, 'tenant', 'created_at')
  redis.call('ZADD', key('jobs', state, found[1]), found[2], id)
  if state == 'pending' or state == 'waiting' then
    redis.call('HSET', key('j', id), 'due_at', at)
    redis.call('ZADD', key('jobs', 'due'), at, id)
    if state == 'waiting' then redis.call('ZADD', key('jobs', 'waiting'), found[2], id) end
  elseif state == 'running' then
    redis.call('HSET', key('j', id), 'lease_until', at)
    redis.call('ZADD', key('jobs', 'leases'), at, id)
  else
    redis.call('ZADD', key('jobs', 'dead'), found[2], id)
  end
  if state ~= 'running' then
    redis.call('HSET', key('j', id), 'lease', '')
    redis.call('HDEL', key('j', id), 'lease_until')
  end
end

local function remove_job(id)
  unplace(id)
  redis.call('DEL', key('j', id))
end

local function start_afresh(id)
  redis.call('HSET', key('j', id), 'attempts', 0, 'failures', 0, 'deaths', 0)
  redis.call('HDEL', key('j', id), 'waiting_since')
end

-- Gives a job of an earlier version, which counted its starts alone, its failures and deaths (see `Job` in Python).
local function count_ends(id)
  local found = job_fields(id, 'failures', 'attempts', 'state', 'last_error')
  if found[1] then return end
  local ended = math.max(0, tonumber(found[2]) - (found[3] == 'running' and 1 or 0))
  local failures, problem = 0, found[4]
  if problem and problem ~= 'interrupted by shutdown'
    and not string.find(problem, 'Conflict: Memories are being compacted already', 1, true) then
    failures = ended
  end
  redis.call('HSET', key('j', id), 'failures', failures, 'deaths', ended - failures)
end

local function runs_under(id, lease)
  local found = job_fields(id, 'state', 'lease')
  return found[1] == 'running' and found[2] == lease
end

local function drop_successor(id)
  redis.call('HDEL', key('j', id), 'next_event', 'next_plugin', 'next_payload', 'next_due')
end

-- whether a running job became the successor that was added while it ran
local function succeed(id)
  local new = job_fields(id, 'next_event', 'next_plugin', 'next_payload', 'next_due')
  if not new[4] then return false end
  redis.call('HSET', key('j', id), 'event', new[1], 'plugin', new[2], 'payload', new[3])
  start_afresh(id)
  drop_successor(id)
  place(id, 'pending', new[4])
  return true
end
