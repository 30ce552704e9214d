-- Small uploads, each under a name of its own: arguments are the file's size, a prefix for the
-- names, then header lines.
dofile("report.lua")

local counter, prefix, content, headers = 0, "", "", {}
local threads = 0

function setup(thread)
  thread:set("id", threads)
  threads = threads + 1
end

function init(args)
  content = string.rep("x", tonumber(args[1]))
  prefix = args[2]
  for i = 3, #args do
    local name, value = args[i]:match("^([^:]+):%s*(.*)$")
    headers[name] = value
  end
  headers["Content-Type"] = "multipart/form-data; boundary=frontier"
end

function request()
  counter = counter + 1
  local head = string.format(
    '--frontier\r\nContent-Disposition: form-data; name="file"; filename="%s-%d-%d.bin"\r\n' ..
    "Content-Type: application/octet-stream\r\n\r\n", prefix, id, counter)
  return wrk.format("POST", nil, headers, head .. content .. "\r\n--frontier--\r\n")
end
