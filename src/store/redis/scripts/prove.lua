-- Puts a later proof into a session's record, which keeps its expiry. KEYS: the record. ARGV: the part behind `created_at`, as the codec writes it.
local record = redis.call('GET', KEYS[1])
if not record then return false end
record = string.sub(record, 1, 102) .. ARGV[1]
redis.call('SET', KEYS[1], record, 'KEEPTTL')
return record
