-- One request again and again: arguments are its header lines; a path is that of the URL.
dofile("report.lua")

local made

function init(args)
  local headers = {}
  for i = 1, #args do
    local name, value = args[i]:match("^([^:]+):%s*(.*)$")
    headers[name] = value
  end
  made = wrk.format("GET", nil, headers)
end

function request()
  return made
end
