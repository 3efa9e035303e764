-- signs in as one account after the other ($BENCH_ACCOUNTS of them), and counts the answers by status
local reqs, i, threads = {}, 0, {}
said = {}
function setup(thread) threads[#threads + 1] = thread end
function init(args)
   for n = 0, tonumber(os.getenv("BENCH_ACCOUNTS")) - 1 do
      local body = string.format('{"email":"user%d@example.com","password":"%s","transport":"body"}', n, os.getenv("BENCH_PASSWORD"))
      reqs[#reqs + 1] = wrk.format("POST", "/auth/login", {["Host"] = "localhost", ["Content-Type"] = "application/json"}, body)
   end
end
function request()
   i = i % #reqs + 1
   return reqs[i]
end
function response(status) said[status] = (said[status] or 0) + 1 end
function done()
   local parts = {}
   for status, n in pairs(threads[1]:get("said")) do parts[#parts + 1] = string.format('"%d": %d', status, n) end
   io.write(string.format('said {"status": {%s}}\n', table.concat(parts, ", ")))
end
