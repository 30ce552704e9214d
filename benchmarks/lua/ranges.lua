-- Random ranges of one file: arguments are the file's size, a range's length, then header lines.
-- The requests are made beforehand, so that the generator costs little.
dofile("report.lua")

local requests = {}

function init(args)
  local size, span = tonumber(args[1]), tonumber(args[2])
  local headers = {}
  for i = 3, #args do
    local name, value = args[i]:match("^([^:]+):%s*(.*)$")
    headers[name] = value
  end
  math.randomseed(17)
  for i = 1, 4096 do
    local first = math.random(0, math.floor(size / span) - 1) * span
    headers["Range"] = string.format("bytes=%d-%d", first, first + span - 1)
    requests[i] = wrk.format("GET", nil, headers)
  end
end

function request()
  return requests[math.random(4096)]
end
