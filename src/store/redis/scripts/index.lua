-- Puts a session into its user's index, where it stands with the last moment it may live to, and lets go of those beyond theirs.
-- KEYS: the index. ARGV: the session's id, its end, now, margin of expiry (milliseconds).
redis.call('ZREMRANGEBYSCORE', KEYS[1], '-inf', ARGV[3])
redis.call('ZADD', KEYS[1], ARGV[2], ARGV[1])
local last = redis.call('ZRANGE', KEYS[1], -1, -1, 'WITHSCORES')
redis.call('PEXPIREAT', KEYS[1], string.format('%.0f', tonumber(last[2]) + tonumber(ARGV[4])))
return 1
