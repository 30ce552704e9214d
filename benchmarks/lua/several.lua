-- Several random ranges of one file with each request: arguments are the file's size, a range's length,
-- how many ranges, then header lines. The requests are made beforehand.
dofile("report.lua")

local requests = {}

function init(args)
  local size, span, count = tonumber(args[1]), tonumber(args[2]), tonumber(args[3])
  local headers = {}
  for i = 4, #args do
    local name, value = args[i]:match("^([^:]+):%s*(.*)$")
    headers[name] = value
  end
  math.randomseed(17)
  local share = math.floor(size / span / count)
  for i = 1, 1024 do
    local ranges = {}
    for n = 0, count - 1 do
      local first = (n * share + math.random(0, share - 2)) * span
      table.insert(ranges, string.format("%d-%d", first, first + span - 1))
    end
    headers["Range"] = "bytes=" .. table.concat(ranges, ",")
    requests[i] = wrk.format("GET", nil, headers)
  end
end

function request()
  return requests[math.random(1024)]
end
