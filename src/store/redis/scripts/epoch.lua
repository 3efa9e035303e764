-- Puts another epoch of its user into a session's record, which keeps its expiry. KEYS: the record. ARGV: the epoch.
local record = redis.call('GET', KEYS[1])
if not record then return 0 end
local epoch = struct.pack('>I4', tonumber(ARGV[1]))
redis.call('SET', KEYS[1], string.sub(record, 1, 74) .. epoch .. string.sub(record, 79), 'KEEPTTL')
return 1
