-- Writes to some hashes of memories when they were found last (see `accesses_of`); how many are left.
local token = take()
local accesses = accesses_of(token)
local some = redis.call('HRANDFIELD', accesses, take_number(), 'WITHVALUES')
if #some > 0 then redis.call('HSET', key('chain', token), 'epoch', call_id) end
for number = 1, #some, 2 do
  local count, last = split_access(some[number + 1])
  redis.call('HSET', key('m', token, some[number]), 'access_count', count, 'last_accessed', last)
  redis.call('HDEL', accesses, some[number])
end
return redis.call('HLEN', accesses)
