-- Remembers a name until a moment; of two moments, until the later one. KEYS: the name. ARGV: the moment, margin of expiry (milliseconds).
local known = redis.call('GET', KEYS[1])
if known and tonumber(known) >= tonumber(ARGV[1]) then return 0 end
redis.call('SET', KEYS[1], ARGV[1], 'PXAT', string.format('%.0f', tonumber(ARGV[1]) + tonumber(ARGV[2])))
return 1
