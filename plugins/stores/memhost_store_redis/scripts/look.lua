-- What has become of scopes of a tenant since a process read their memories (see `blocks.py`). Answers 'same', 'some'
-- with what was put and the ids of what else was touched, 'all' where that cannot be told, or 'unknown': a memhost that
-- does not keep the versions of scopes has written last.
local MOST_ENTRIES = 1000
local tenant_token, epoch, seq, link = take(), take(), take(), take()
local fields = {}
for _ = 1, take_number() do table.insert(fields, take()) end

local chain = redis.call('HMGET', key('chain', tenant_token), 'seq', 'link', 'told', 'epoch', 'accesses')
for place = 1, 5 do chain[place] = chain[place] or '' end
if chain[3] ~= chain[2] then return {'unknown'} end

local same, scopes, found = chain[4] == epoch, {}, {}
for _ = 1, take_number() do
  local scope, version = take(), take()
  local held = redis.call('HMGET', key('counts', tenant_token), scope .. 'v', scope .. 'n', scope .. 'l')
  scopes[scope] = true
  same = same and (held[1] or '') == version
  for _, value in ipairs({held[1] or '', held[2] or '0', held[3] or '0'}) do table.insert(found, value) end
end

local rows, gone = {}, {}
local function gather()
  local from, to = tonumber(seq), tonumber(chain[1])
  if chain[4] ~= epoch or not from or not to or to < from or to - from > MOST_ENTRIES then return false end
  if redis.call('HGET', key('h', tenant_token, seq), 'l') ~= link then return false end
  local seen = {}
  for number = from + 1, to do
    local entry = redis.call('HMGET', key('h', tenant_token, whole(number)), 'm', 'e')
    local id = entry[1]
    if not id and not entry[2] then return false end
    if id and not seen[id] then
      seen[id] = true
      local name, inside = key('m', tenant_token, id), false
      for scope in string.gmatch(redis.call('HGET', name, 'scope') or '', '[^,]+') do
        inside = inside or scopes[scope]
      end
      if inside then
        table.insert(rows, {id, redis.call('HMGET', name, unpack(fields))})
      else
        table.insert(gone, id)
      end
    end
  end
  return true
end

local verdict = same and 'same' or gather() and 'some' or 'all'
return {verdict, chain[1], chain[2], chain[4], chain[5], found, rows, gone}
