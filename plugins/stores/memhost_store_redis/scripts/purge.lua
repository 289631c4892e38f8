-- Removes those of the given sessions and documents that have expired.
local now, removed = take_number(), 0
for _ = 1, take_number() do
  local name = take()
  local expires = redis.call('HGET', name, 'expires_at')
  if expires and tonumber(expires) <= now then removed = removed + redis.call('DEL', name) end
end
return removed
