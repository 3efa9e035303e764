-- Adds one to a counter that lives for one window from its first count. KEYS: the counter. ARGV: now, window, margin of expiry (milliseconds).
local now = tonumber(ARGV[1])
local count, resets_at = 0, now + tonumber(ARGV[2])
local found = redis.call('GET', KEYS[1])
if found then
    local counted, ends = string.match(found, '^(%d+):(%d+)$')
    if tonumber(ends) > now then count, resets_at = tonumber(counted), tonumber(ends) end
end
count = math.min(count + 1, 4294967295)
local value = string.format('%.0f:%.0f', count, resets_at)
redis.call('SET', KEYS[1], value, 'PXAT', string.format('%.0f', resets_at + tonumber(ARGV[3])))
return {count, resets_at}
