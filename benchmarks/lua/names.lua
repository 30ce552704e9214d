-- Random paths out of a file with one per line: arguments are that file, a method, then header lines.
dofile("report.lua")

local requests = {}

function init(args)
  local headers = {}
  for i = 3, #args do
    local name, value = args[i]:match("^([^:]+):%s*(.*)$")
    headers[name] = value
  end
  math.randomseed(17)
  for path in io.lines(args[1]) do
    table.insert(requests, wrk.format(args[2], path, headers))
  end
end

function request()
  return requests[math.random(#requests)]
end
