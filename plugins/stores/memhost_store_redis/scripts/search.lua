-- Runs queries, collects the keys that they find, adds neighbouring turns, and reads all of the hashes: one round
-- trip, and one view of the store.
local base, reach = take(), take_number()
local fields = {}
for _ = 1, take_number() do table.insert(fields, take()) end

local keys, known = {}, {}
local function note(name)
  if not known[name] then
    known[name] = true
    table.insert(keys, name)
  end
end

local function value_of(row, name)
  for place_in_row = 1, #row, 2 do
    if row[place_in_row] == name then return row[place_in_row + 1] end
  end
end

local readers = {}

-- hits of FT.SEARCH NOCONTENT WITHSCORES
function readers.scored(reply)
  local hits = {}
  for place_in_reply = 2, #reply, 2 do
    note(reply[place_in_reply])
    table.insert(hits, {reply[place_in_reply], reply[place_in_reply + 1]})
  end
  return hits
end

-- hits of FT.SEARCH RETURN 1 distance
function readers.near(reply)
  local hits = {}
  for place_in_reply = 2, #reply, 2 do
    note(reply[place_in_reply])
    table.insert(hits, {reply[place_in_reply], value_of(reply[place_in_reply + 1], 'distance')})
  end
  return hits
end

-- rows of FT.AGGREGATE, whose first sorting field makes the score and `id` the key
local function rows(field)
  return function(reply)
    local hits = {}
    for place_in_reply = 2, #reply do
      local row = reply[place_in_reply]
      local name = base .. value_of(row, 'id')
      note(name)
      table.insert(hits, {name, value_of(row, field) or ''})
    end
    return hits
  end
end
readers.ranked = rows('__score')
readers.measured = rows('distance')
readers.listed = rows('')

function readers.total(reply)
  return reply[1]
end

function readers.plain(reply)
  return reply
end

local replies = {}
for _ = 1, take_number() do
  local reader, first = take(), cursor + 2
  cursor = cursor + 1 + tonumber(ARGV[cursor + 1])
  table.insert(replies, readers[reader](redis.call(unpack(ARGV, first, cursor))))
end

if reach > 0 then
  for number = 1, #keys do
    local found = redis.call('HMGET', keys[number], 'turns', 'id')
    if found[1] then
      local turns = key('t', found[1])
      local position = redis.call('ZSCORE', turns, found[2])
      if position then
        local at = tonumber(position)
        for _, id in ipairs(redis.call('ZRANGEBYSCORE', turns, whole(at - reach), whole(at + reach))) do
          note(base .. id)
        end
      end
    end
  end
end

local contents = {}
if #fields > 0 then
  for number, name in ipairs(keys) do contents[number] = redis.call('HMGET', name, unpack(fields)) end
end
return {replies, keys, contents}
