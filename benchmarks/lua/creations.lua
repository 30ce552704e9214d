-- Small uploads to a tus server, each created with its bytes (creation-with-upload): the argument is
-- their size. Every upload is a new one.
dofile("report.lua")

local made

function init(args)
  local size = tonumber(args[1])
  made = wrk.format("POST", nil, {
    ["Tus-Resumable"] = "1.0.0",
    ["Upload-Length"] = tostring(size),
    ["Content-Type"] = "application/offset+octet-stream",
  }, string.rep("x", size))
end

function request()
  return made
end
