-- rotates refresh tokens: begins with those in $BENCH_TOKENS, and each answer's successor is used next
local pool, first, last, threads = {}, 1, 0, {}
said = {}
local head = {["Host"] = "localhost", ["Content-Type"] = "application/json"}
function setup(thread) threads[#threads + 1] = thread end
local function put(token)
   last = last + 1
   pool[last] = token
end
function init(args)
   for line in io.lines(os.getenv("BENCH_TOKENS")) do put(line) end
end
function request()
   local token = pool[first]
   pool[first] = nil
   if token then first = first + 1 end
   return wrk.format("POST", "/auth/refresh", head, string.format('{"refresh_token":"%s"}', token or "none is left"))
end
function response(status, headers, body)
   said[status] = (said[status] or 0) + 1
   local token = string.match(body, '"refresh_token":"([^"]+)"')
   if token then put(token) end
end
function done()
   local parts = {}
   for status, n in pairs(threads[1]:get("said")) do parts[#parts + 1] = string.format('"%d": %d', status, n) end
   io.write(string.format('said {"status": {%s}}\n', table.concat(parts, ", ")))
end
