-- What stands around memories that were found: the turns next to them with their hashes, and of all of them the times of
-- access that were entered since the hashes were written.
local base, reach = take(), take_number()
local fields = {}
for _ = 1, take_number() do table.insert(fields, take()) end

local ids, sessions, known = {}, {}, {}
for number = 1, take_number() do
  ids[number], sessions[number] = take(), take()
  known[ids[number]] = true
end

local found = #ids
for number = 1, found do
  local turns = sessions[number] ~= '' and key('t', sessions[number])
  local position = turns and redis.call('ZSCORE', turns, ids[number])
  if position then
    local at = tonumber(position)
    for _, id in ipairs(redis.call('ZRANGEBYSCORE', turns, whole(at - reach), whole(at + reach))) do
      if not known[id] then
        known[id] = true
        table.insert(ids, id)
      end
    end
  end
end

local contents = {}
for number = found + 1, #ids do
  table.insert(contents, redis.call('HMGET', base .. ids[number], unpack(fields)))
end

local PART = 1000
local accesses, accessed = accesses_of(string.match(base, '([^:]+):$')), {}
for first = 1, #ids, PART do
  local part = redis.call('HMGET', accesses, unpack(ids, first, math.min(first + PART - 1, #ids)))
  for _, packed in ipairs(part) do table.insert(accessed, packed) end
end
return {ids, contents, accessed}
