-- One page of the stream of revocations behind a place, or the news that the stream does not reach back to that place.
-- KEYS: the stream, its name, the last entry trimmed. ARGV: the place's stream (empty: from the beginning), its entry, a fresh name, page size.
-- Answers gap (1) or not (0), the stream's name, the last entry known to it, and the entries.
--
-- A place is good while its entry is there, or was trimmed since. A server that lost its data has another name; one that lost its last writes (a
-- replica that was behind and took over) lacks the entry.
local name = redis.call('GET', KEYS[2])
if not name then
    name = ARGV[3]
    redis.call('SET', KEYS[2], name)
end

local function split(entry)
    local time, number = string.match(entry, '^(%d+)%-(%d+)$')
    return tonumber(time), tonumber(number)
end
local function is_after(one, other)
    local time, number = split(one)
    local other_time, other_number = split(other)
    return time > other_time or (time == other_time and number > other_number)
end

local trimmed = redis.call('GET', KEYS[3]) or '0-0'
local place, from = trimmed, '-'
if ARGV[1] ~= '' then
    if ARGV[1] ~= name then return {1, name, '', {}} end
    place = ARGV[2]
    local is_there = #redis.call('XRANGE', KEYS[1], place, place) > 0
    if not is_there and is_after(place, trimmed) then return {1, name, '', {}} end
    from = '(' .. place
end
local entries = redis.call('XRANGE', KEYS[1], from, '+', 'COUNT', ARGV[4])
if #entries > 0 then place = entries[#entries][1] end
return {0, name, place, entries}
