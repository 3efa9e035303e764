-- Remembers revocations, all or none, and puts them into the stream. All its keys share one hash tag.
-- KEYS: the stream, the stream's name, then one key for each revocation.
-- ARGV: a fresh name, margin of expiry, then for each revocation: kind, subject, until, moment (milliseconds; 0 where the kind has none).
redis.call('SET', KEYS[2], ARGV[1], 'NX')
local margin = tonumber(ARGV[2])
for i = 3, #KEYS do
    local at = (i - 3) * 4 + 3
    local kind, subject, till, moment = ARGV[at], ARGV[at + 1], ARGV[at + 2], ARGV[at + 3]
    -- The same subject may be revoked again: of two moments the later one counts, and so of two ends.
    local reach, keep = tonumber(moment), tonumber(till) + margin
    local known = redis.call('GET', KEYS[i])
    if known then
        local known_reach, known_keep = string.match(known, '^(%d+):(%d+)$')
        reach, keep = math.max(reach, tonumber(known_reach)), math.max(keep, tonumber(known_keep))
    end
    local stop = string.format('%.0f', keep)
    redis.call('SET', KEYS[i], string.format('%.0f', reach) .. ':' .. stop, 'PXAT', stop)
    redis.call('XADD', KEYS[1], '*', 'k', kind, 's', subject, 'u', till, 'm', moment)
end
return 1
