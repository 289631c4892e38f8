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
local shown, all_shown

-- hits of FT.SEARCH NOCONTENT WITHSCORES
function readers.scored(reply)
  local hits = {}
  shown = (#reply - 1) / 2
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

-- whether the scored hits are all that the scope holds of their terms
function readers.complete(reply)
  all_shown = reply[1] == shown
  return reply[1]
end

-- how many hold a term; not asked for, and -1, where the hits tell it
readers.frequency = readers.total

function readers.plain(reply)
  return reply
end

local replies = {}
for _ = 1, take_number() do
  local reader, first = take(), cursor + 2
  cursor = cursor + 1 + tonumber(ARGV[cursor + 1])
  if reader == 'frequency' and all_shown then
    table.insert(replies, -1)
  else
    table.insert(replies, readers[reader](redis.call(unpack(ARGV, first, cursor))))
  end
end

local function note_turns_around(turns, id)
  local position = redis.call('ZSCORE', turns, id)
  if not position then return end
  local at = tonumber(position)
  for _, each in ipairs(redis.call('ZRANGEBYSCORE', turns, whole(at - reach), whole(at + reach))) do
    note(base .. each)
  end
end

local contents = {}
local function read(from, to)
  for number = from, to do contents[number] = redis.call('HMGET', keys[number], unpack(fields)) end
end

local PART = 1000
local function put_in_accesses()
  local accesses = accesses_of(string.match(base, '([^:]+):$'))
  for first = 1, #keys, PART do
    local ids = {}
    for number = first, math.min(first + PART - 1, #keys) do
      table.insert(ids, string.sub(keys[number], #base + 1))
    end
    for place_in_part, packed in ipairs(redis.call('HMGET', accesses, unpack(ids))) do
      local row = contents[first + place_in_part - 1]
      if packed and row[1] then row[2], row[3] = split_access(packed) end
    end
  end
end

local width, found = #fields, #keys
if width == 0 then return {replies, keys, contents} end
if reach > 0 then
  table.insert(fields, 'turns')
  table.insert(fields, 'id')
end
read(1, found)
if reach > 0 then
  for number = 1, found do
    local row = contents[number]
    if row[width + 1] then note_turns_around(key('t', row[width + 1]), row[width + 2]) end
    row[width + 1], row[width + 2] = nil, nil
  end
  fields[width + 1], fields[width + 2] = nil, nil
  read(found + 1, #keys)
end
if fields[2] == 'access_count' then put_in_accesses() end
return {replies, keys, contents}
