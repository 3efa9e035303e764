-- The table of refresh tokens (`Rotate::judge` says the same in Rust) as one step on a session's record.
-- KEYS: the record. ARGV: hash of the nonce, presented generation; then milliseconds: now, reuse window, idle time, margin of expiry.
-- Answers the verdict and the record as it stands afterwards, or as it was when it is gone.
local record = redis.call('GET', KEYS[1])
if not record then return {'unknown'} end
if #record < 78 or string.byte(record) ~= 1 then return {'damaged'} end

local layout = '>I1c32I4I1I4I8I8I8I8'
local version, nonce, current, rotated, previous, rotated_at, used_at, idle_at, ends_at, rest = struct.unpack(layout, record)
local presented, now, window = tonumber(ARGV[2]), tonumber(ARGV[3]), tonumber(ARGV[4])
local idle, margin = tonumber(ARGV[5]), tonumber(ARGV[6])

if nonce ~= ARGV[1] then return {'unknown'} end
if now >= idle_at or now >= ends_at then
    redis.call('DEL', KEYS[1])
    return {'expired', record}
end

local verdict
if presented >= current then
    verdict, rotated, previous, current = 'rotated', 1, presented, presented + 1
elseif rotated == 0 or previous ~= presented then
    redis.call('DEL', KEYS[1])
    return {'reused', record}
elseif math.max(0, now - rotated_at) < window then
    return {'repeated', record}
else
    verdict, current = 'replaced', current + 1
end

current = math.min(current, 4294967295)
idle_at = math.min(now + idle, ends_at)
local head = struct.pack(layout, version, nonce, current, rotated, previous, now, now, idle_at, ends_at)
record = head .. string.sub(record, rest)
redis.call('SET', KEYS[1], record, 'PXAT', string.format('%.0f', idle_at + margin))
return {verdict, record}
