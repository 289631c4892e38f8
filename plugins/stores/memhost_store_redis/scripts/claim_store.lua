-- Enters into the store what this process found out about it, unless another process was faster.
-- Fields of `meta` are changed only while `revision` is still the one that was read.
local revision = take()
if (redis.call('HGET', key('meta'), 'revision') or '0') ~= revision then return 0 end
put_fields(key('meta'), 'revision', whole(tonumber(revision) + 1), cursor)
return 1
