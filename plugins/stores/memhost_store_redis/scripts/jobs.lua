-- What runners and operators do with jobs: one action a call.
local action = take()
local FIELDS = {'id', 'event', 'plugin', 'payload', 'tenant', 'created_at', 'due_at', 'state', 'attempts', 'lease',
  'lease_until', 'last_error', 'failures', 'deaths', 'waiting_since'}
local actions = {}

local function all_of(ids)
  local found = {}
  for _, id in ipairs(ids) do table.insert(found, job_fields(id, unpack(FIELDS))) end
  return found
end

function actions.claim()
  local now, until_, limit, lease = take_number(), take(), take_number(), take()
  local before = redis.call('ZRANGE', key('claimed', lease), 0, -1)
  if #before > 0 then return all_of(before) end
  local due = {}
  for _, name in ipairs({'due', 'leases'}) do
    local at_most = redis.call('ZRANGEBYSCORE', key('jobs', name), '-inf', whole(now), 'LIMIT', 0, limit)
    for _, id in ipairs(at_most) do
      table.insert(due, {tonumber(redis.call('HGET', key('j', id), 'due_at')), id})
    end
  end
  table.sort(due, function(one, other)
    if one[1] ~= other[1] then return one[1] < other[1] end
    return one[2] < other[2]
  end)
  local claimed = {}
  for number = 1, math.min(limit, #due) do
    local id = due[number][2]
    count_ends(id)
    if job_fields(id, 'state')[1] == 'running' then redis.call('HINCRBY', key('j', id), 'deaths', 1) end
    place(id, 'running', until_)
    redis.call('HSET', key('j', id), 'lease', lease .. whole(number))
    redis.call('HINCRBY', key('j', id), 'attempts', 1)
    redis.call('ZADD', key('claimed', lease), number, id)
    table.insert(claimed, id)
  end
  if #claimed > 0 then redis.call('EXPIRE', key('claimed', lease), 60) end
  return all_of(claimed)
end

function actions.extend()
  local id, lease, until_ = take(), take(), take()
  if not runs_under(id, lease) then return 0 end
  place(id, 'running', until_)
  return 1
end

-- the end of a run that failed: back to pending at `due`, or dead without one
function actions.release()
  local answered = earlier_answer()
  if answered then return answered end
  local id, lease, problem, due = take(), take(), take(), take()
  if not runs_under(id, lease) then return 0 end
  count_ends(id)
  redis.call('HSET', key('j', id), 'last_error', problem)
  redis.call('HINCRBY', key('j', id), 'failures', 1)
  redis.call('HDEL', key('j', id), 'waiting_since')
  if not succeed(id) then
    if due == '' then place(id, 'dead') else place(id, 'pending', due) end
  end
  return remember(1)
end

-- the end of a run that did not count: due again, waiting since then
function actions.put_off()
  local answered = earlier_answer()
  if answered then return answered end
  local id, lease, reason, due, since = take(), take(), take(), take(), take()
  if not runs_under(id, lease) then return 0 end
  redis.call('HSET', key('j', id), 'last_error', reason)
  if not succeed(id) then
    if since ~= '' then redis.call('HINCRBY', key('j', id), 'attempts', -1) end
    place(id, since == '' and 'pending' or 'waiting', due)
  end
  redis.call('HDEL', key('j', id), 'waiting_since')
  if since ~= '' then redis.call('HSET', key('j', id), 'waiting_since', since) end
  return remember(1)
end

function actions.waiting()
  local oldest = redis.call('ZRANGE', key('jobs', 'waiting'), 0, 0)
  return {redis.call('ZCARD', key('jobs', 'waiting')), all_of(oldest)}
end

local function is_dead(id, tenant)
  local found = job_fields(id, 'state', 'tenant')
  return found[1] == 'dead' and found[2] == tenant
end

function actions.revive()
  local answered = earlier_answer()
  if answered then return answered end
  local tenant, id, due = take(), take(), take()
  if not is_dead(id, tenant) then return 0 end
  start_afresh(id)
  place(id, 'pending', due)
  return remember(1)
end

function actions.discard()
  local answered = earlier_answer()
  if answered then return answered end
  local tenant, id = take(), take()
  if not is_dead(id, tenant) then return 0 end
  remove_job(id)
  return remember(1)
end

function actions.list()
  local tenant, state, limit, offset = take(), take(), take_number(), take_number()
  local states = state == '' and {'pending', 'waiting', 'running', 'dead'} or {state}
  local ids = {'ZUNION', #states}
  for _, each in ipairs(states) do table.insert(ids, key('jobs', each, tenant)) end
  ids = redis.call(unpack(ids))
  local page = {}
  for number = offset + 1, math.min(offset + limit, #ids) do table.insert(page, ids[number]) end
  return {#ids, all_of(page)}
end

function actions.next_due()
  local due = redis.call('ZRANGE', key('jobs', 'due'), 0, 0, 'WITHSCORES')[2]
  local lapse = redis.call('ZRANGE', key('jobs', 'leases'), 0, 0, 'WITHSCORES')[2]
  if due and lapse then return whole(math.min(tonumber(due), tonumber(lapse))) end
  return due and whole(tonumber(due)) or lapse and whole(tonumber(lapse)) or ''
end

return actions[action]()
