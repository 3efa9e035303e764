-- Takes entries that are over off the head of the stream, some at a time, and remembers the last one.
-- KEYS: the stream, the last entry trimmed. ARGV: now (milliseconds), how many at most.
local entries = redis.call('XRANGE', KEYS[1], '-', '+', 'COUNT', ARGV[2])
local last, count = nil, 0
for _, entry in ipairs(entries) do
    if tonumber(entry[2][6]) > tonumber(ARGV[1]) then break end
    last, count = entry[1], count + 1
end
if last then
    redis.call('SET', KEYS[2], last)
    redis.call('XTRIM', KEYS[1], 'MAXLEN', redis.call('XLEN', KEYS[1]) - count)
end
return count
