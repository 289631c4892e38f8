-- One batch: everything is checked before the first change, so it is applied as a whole or not at all.
local answered = earlier_answer()
if answered then return answered end

-- what the entries of the chain depend on; they are prepared outside, since the key is not here
local depends = {}
for _ = 1, take_number() do table.insert(depends, {take(), take()}) end
local chain_seq, chain_link, chain_name = take(), take(), take()
local entries = {}
for _ = 1, take_number() do table.insert(entries, {take(), take(), take(), take(), take(), take()}) end

local now = take_number()
local tenant, tenant_token, generation = take(), take(), take()

local function take_allowed()
  local count = take_number()
  if count < 0 then return nil end
  local allowed = {}
  for _ = 1, count do allowed[take()] = true end
  return allowed
end

local namespaces, users, sessions = take_allowed(), take_allowed(), take_allowed()
local function allows(owner)
  return (not namespaces or namespaces[owner[1]]) and (not users or users[owner[2]])
    and (not sessions or sessions[owner[3]])
end

local function is_alive(expires)
  return not expires or tonumber(expires) > now
end

local function memory_key(id)
  return key('m', tenant_token, id)
end

local function owner_of(id)
  local found = redis.call('HMGET', memory_key(id), 'namespace', 'user_id', 'session_id')
  return found[1] and found
end

-- reading the batch and checking it ------------------------------------------------------------------------

local job_id, lease = take(), take()
if job_id ~= '' and not runs_under(job_id, lease) then return {'lease_lost'} end
if redis.call('HGET', key('meta'), 'generation') ~= generation then return {'mismatch'} end

if chain_seq ~= '' then
  local end_of = redis.call('HMGET', key('chain', tenant_token), 'seq', 'link')
  if (end_of[1] or '0') ~= chain_seq or (end_of[2] or '') ~= chain_link then return {'moved'} end
end
for _, state in ipairs(depends) do
  local stamp = redis.call('HGET', memory_key(state[1]), 'stamp')
  if state[2] == '-' then -- there never was one
    local gone = redis.call('HEXISTS', key('ver', tenant_token), state[1]) == 1
    if gone or redis.call('EXISTS', memory_key(state[1])) == 1 then return {'moved'} end
  elseif (stamp or '') ~= state[2] then
    return {'moved'}
  end
end

local deleted, deletions, owners = {}, {}, {}
for _ = 1, take_number() do
  local id = take()
  local owner = owner_of(id)
  local gone = owner and allows(owner) and not deleted[id]
  if gone then deleted[id] = true end
  table.insert(deletions, {id, gone})
end

local puts, taken = {}, {}
for place_in_batch = 1, take_number() do
  local put = {id = take(), owner = {take(), take(), take()}, scope = take(), length = take(), position = take(),
    turns = take(), guarded = take() == '1', moved = take() == '1', persisted = take(), fields = skip_fields()}
  local before = owners[put.id]
  if not before and not deleted[put.id] then before = owner_of(put.id) end
  if before and not (put.moved and allows(before)) then
    local same = before[1] == put.owner[1] and before[2] == put.owner[2]
    if not same or (put.guarded and before[3] ~= put.owner[3]) then table.insert(taken, place_in_batch) end
  end
  owners[put.id] = put.owner
  table.insert(puts, put)
end
if #taken > 0 then return {'id_taken', taken} end

local mark = {at = take_number(), interval = take_number(), most = take_number(), ids = {}}
for _ = 1, take_number() do table.insert(mark.ids, take()) end

local removed_session, new_session = take(), take()
local version = 0
if new_session ~= '' then
  local expected, copied = take(), take()
  local found = redis.call('HMGET', new_session, 'version', 'expires_at')
  if found[1] and new_session ~= removed_session and is_alive(found[2]) then version = tonumber(found[1]) end
  if expected ~= '' and tonumber(expected) ~= version then return {'version_mismatch'} end
  version = copied == '' and version + 1 or tonumber(copied)
end
local session_expiry, session_fields = take(), skip_fields()

for _ = 1, take_number() do
  local found = redis.call('HMGET', take(), 'body', 'expires_at')
  if not found[1] or not is_alive(found[2]) then return {'document_gone'} end
end

local no_session = take()
local function find_document(name)
  local found = redis.call('HMGET', name, 'namespace', 'user_id', 'expires_at')
  local inside = found[1] and allows({found[1], found[2], no_session})
  return inside, found[1] and not inside and is_alive(found[3])
end

local removed_documents, documents = {}, {}
for _ = 1, take_number() do
  local name = take()
  if find_document(name) then table.insert(removed_documents, name) end
end
for _ = 1, take_number() do
  local document = {name = take(), expiry = take(), fields = skip_fields()}
  local _, foreign = find_document(document.name)
  if foreign then return {'foreign_document'} end
  table.insert(documents, document)
end

-- changing -------------------------------------------------------------------------------------------------

-- The versions of scopes (see `look.lua`) tell of all changes up to an entry of the chain; where one of them was appended
-- by a memhost that does not keep versions, a new epoch says that none of those before is to be believed.
local chain = key('chain', tenant_token)
local ends = redis.call('HMGET', chain, 'link', 'told')
if (ends[1] or '') ~= (ends[2] or '') then redis.call('HSET', chain, 'epoch', call_id, 'told', ends[1] or '') end

local counts = {}
local function count(scope, documents_more, length_more)
  local number = 0
  for token in string.gmatch(scope, '[^,]+') do
    number = number + 1
    if number > 4 then return end
    local found = counts[token] or {0, 0}
    counts[token] = {found[1] + documents_more, found[2] + length_more}
  end
end

local accesses = accesses_of(tenant_token)
local function remove_memory(id)
  local name = memory_key(id)
  local found = redis.call('HMGET', name, 'scope', 'length', 'turns', 'persisted_at')
  count(found[1], -1, -tonumber(found[2]))
  if found[3] then redis.call('ZREM', key('t', found[3]), id) end
  redis.call('DEL', name)
  redis.call('HDEL', accesses, id)
  return found[4]
end

if job_id ~= '' and not succeed(job_id) then remove_job(job_id) end

local gone = {}
for _, deletion in ipairs(deletions) do
  if deletion[2] then remove_memory(deletion[1]) end
  table.insert(gone, deletion[2] and '1' or '0')
end

local existed, last = {}, {}
for number, put in ipairs(puts) do last[put.id] = number end
local states = {}
for number, put in ipairs(puts) do
  local name = memory_key(put.id)
  if existed[put.id] == nil then existed[put.id] = redis.call('EXISTS', name) == 1 end
  if last[put.id] == number then
    local persisted = put.persisted
    if existed[put.id] then
      local before = remove_memory(put.id)
      if persisted == '' then persisted = before or '' end
    end
    put_fields(name, 'persisted_at', persisted, put.fields)
    if put.turns ~= '' then
      redis.call('ZADD', key('t', put.turns), put.position, put.id)
    end
    count(put.scope, 1, tonumber(put.length))
    table.insert(states, existed[put.id] and 'r' or 'c')
  else
    table.insert(states, '-')
  end
end
local ledger = key('counts', tenant_token)
for token, change in pairs(counts) do
  redis.call('HINCRBY', ledger, token .. 'l', whole(change[2]))
  if redis.call('HINCRBY', ledger, token .. 'n', whole(change[1])) == 0 then
    redis.call('HDEL', ledger, token .. 'n', token .. 'l', token .. 'v')
  else
    redis.call('HSET', ledger, token .. 'v', call_id)
  end
end

local marked = false
for _, id in ipairs(mark.ids) do
  local owner = owner_of(id)
  if owner and allows(owner) then
    local found = redis.call('HMGET', memory_key(id), 'access_count', 'last_accessed')
    local later = redis.call('HGET', accesses, id)
    if later then found = {split_access(later)} end
    local times, accessed = tonumber(found[1]), tonumber(found[2])
    if not (mark.interval > 0 and times > 0 and accessed > mark.at - mark.interval) then
      local count, last = whole(math.min(times + 1, mark.most)), whole(math.max(accessed, mark.at))
      redis.call('HSET', accesses, id, count .. ' ' .. last)
      marked = true
    end
  end
end
if marked then redis.call('HSET', chain, 'accesses', call_id) end

local session_deleted = '0'
if removed_session ~= '' then
  local found = redis.call('HMGET', removed_session, 'version', 'expires_at')
  if redis.call('DEL', removed_session) == 1 and is_alive(found[2]) then session_deleted = '1' end
end

local function put_state(name, number, fields, expiry)
  redis.call('DEL', name)
  put_fields(name, 'version', whole(number), fields)
  if expiry ~= '' then redis.call('PEXPIREAT', name, expiry) end
end

if new_session ~= '' then
  put_state(new_session, version, session_fields, session_expiry)
end
for _, name in ipairs(removed_documents) do redis.call('DEL', name) end
for _, document in ipairs(documents) do put_state(document.name, 0, document.fields, document.expiry) end

for _ = 1, take_number() do
  local id = take()
  local found = job_fields(id, 'tenant', 'state')
  if found[1] == tenant then
    drop_successor(id)
    if found[2] == 'pending' or found[2] == 'waiting' then remove_job(id) end
  end
end

-- a job as it stood in another store
local function restore_job(id, found, created, due, event, plugin, payload)
  local state, attempts, failures, deaths, since, problem = take(), take(), take(), take(), take(), take()
  if found[1] and found[1] ~= tenant then return end
  if found[1] then remove_job(id) end
  redis.call('HSET', key('j', id), 'id', id, 'tenant', tenant, 'event', event, 'plugin', plugin, 'payload', payload,
    'created_at', created, 'attempts', attempts, 'failures', failures, 'deaths', deaths, 'state', state,
    'due_at', due)
  if since ~= '' then redis.call('HSET', key('j', id), 'waiting_since', since) end
  if problem ~= '' then redis.call('HSET', key('j', id), 'last_error', string.sub(problem, 2)) end
  place(id, state, due)
end

local restored = take() == '1'
for _ = 1, take_number() do
  local id, replace, created, due = take(), take() == '1', take(), take()
  local event, plugin, payload = take(), take(), take()
  local found = job_fields(id, 'tenant', 'state')
  if restored then
    restore_job(id, found, created, due, event, plugin, payload)
  elseif not found[1] then
    redis.call('HSET', key('j', id), 'id', id, 'tenant', tenant, 'event', event, 'plugin', plugin, 'payload', payload,
      'created_at', created, 'attempts', 0, 'failures', 0, 'deaths', 0, 'state', 'pending')
    place(id, 'pending', due)
  elseif replace and found[1] == tenant then
    if found[2] == 'running' then
      redis.call('HSET', key('j', id), 'next_event', event, 'next_plugin', plugin, 'next_payload', payload,
        'next_due', due)
    else
      redis.call('HSET', key('j', id), 'event', event, 'plugin', plugin, 'payload', payload)
      if found[2] == 'dead' then start_afresh(id) end
      place(id, 'pending', due)
    end
  end
end

if #entries > 0 then
  local seq = tonumber(chain_seq)
  for _, entry in ipairs(entries) do
    seq = seq + 1
    local name = key('h', tenant_token, whole(seq))
    redis.call('HSET', name, 'd', entry[3], 'l', entry[4], 'e', entry[5])
    if entry[6] ~= '' then redis.call('HSET', name, 'f', entry[6]) end
    if entry[1] ~= '' then
      redis.call('HSET', name, 'm', entry[1])
      redis.call('ZADD', key('hm', tenant_token, entry[1]), whole(seq), whole(seq))
      if entry[2] ~= '0' then redis.call('HSET', key('ver', tenant_token), entry[1], entry[2]) end
    end
  end
  redis.call('HSET', chain, 'seq', whole(seq), 'link', entries[#entries][4], 'told', entries[#entries][4])
  redis.call('HSET', key('chains'), tenant_token, chain_name)
end

return remember({'ok', table.concat(gone), table.concat(states), session_deleted, whole(version)})
