-- Keeps a session's record as another store had it, unless the one that is here is of the same generation or a later one.
-- KEYS: the record. ARGV: the record, its generation, when it ends with the margin (milliseconds).
local known = redis.call('GET', KEYS[1])
if known then
    if #known < 78 or string.byte(known) ~= 1 then return redis.error_reply('damaged') end
    local generation = struct.unpack('>I4', string.sub(known, 34, 37))
    if generation >= tonumber(ARGV[2]) then return 0 end
end
redis.call('SET', KEYS[1], ARGV[1], 'PXAT', ARGV[3])
return 1
