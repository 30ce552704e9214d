-- What the edge's module promises by itself, run by nginx's own LuaJIT: each case prints a line, "ok" or what is wrong.

local edge = require "filestore_edge"

local function check(name, expected, found)
    local right = expected == found
    ngx.say(right and "ok" or ("expected " .. tostring(expected) .. ", found " .. tostring(found)), "\t", name)
end

-- Ranges of 1000 bytes: how many bytes are asked for, or nil.
for range, length in pairs({
    ["bytes=0-0"] = 1, ["bytes=0-9"] = 10, ["bytes=990-"] = 10, ["bytes=0-"] = 1000, ["bytes=999-999"] = 1,
    ["bytes=0-5000"] = 1000, ["bytes=-1"] = 1, ["bytes=-1000"] = 1000, ["bytes=-1001"] = 1000,
    ["bytes=0000-0009"] = 10, ["bytes=5-999999999999999"] = 995,
}) do
    check(range, length, edge.length_of(range, 1000))
end
for _, range in ipairs({
    "", "bytes", "bytes=", "bytes=-", "bytes=--1", "bytes=-0", "bytes=9-5", "bytes=1000-", "bytes=1000-1999",
    "bytes=a-b", "bytes=1-2,3-4",
    "bytes=1-2 ", "bytes= 1-2", "Bytes=1-2", "bytes=+1-2", "bytes=1.0-2", "bytes=0x1-2", "items=0-9",
    "bytes=5-9999999999999999", "bytes=-9999999999999999", "bytes=9999999999999999-", "bytes=0-9-", "bytes=0",
    "bytes=1-2\0", "xbytes=1-2",
}) do
    check("no plain range: " .. range, nil, edge.length_of(range, 1000))
end

-- Answers of the gateway.
local function answer(changes)
    local said = {
        status = 200, truncated = false, header = {
            ["X-Filestore-Blob"] = "things/a/b", ["X-Filestore-Size"] = "1000", ["X-Filestore-Seconds"] = "1.500",
            ["ETag"] = '"abc"', ["Last-Modified"] = "Thu, 26 Nov 2026 01:02:03 GMT", ["Content-Type"] = "text/plain",
            ["Content-Length"] = 0, ["Connection"] = "keep-alive", ["Date"] = "now", ["Accept-Ranges"] = "bytes",
            ["X-Request-Id"] = "1", ["X-Accel-Expires"] = "@1",
        },
    }
    for name, value in pairs(changes or {}) do
        if name == "status" or name == "truncated" then said[name] = value else said.header[name] = value or nil end
    end
    return said
end

local decision = edge.decision_of(answer(), 100)
check("where the bytes are", "things/a/b", decision.blob)
check("it holds from when it was asked for", 101.5, decision.ends)
local names = {}
for at, name in ipairs(decision.names) do names[at] = name .. "=" .. decision.values[at] end
table.sort(names)
check("the headers of the file and no others", 'Content-Type=text/plain ETag="abc"', table.concat(names, " "))
for name, changes in pairs({
    ["refused"] = { status = 403 }, ["not there"] = { status = 502 }, ["partial"] = { status = 206 },
    ["cut"] = { truncated = true }, ["no place"] = { ["X-Filestore-Blob"] = false },
    ["two places"] = { ["X-Filestore-Blob"] = { "a", "b" } }, ["a place elsewhere"] = { ["X-Filestore-Blob"] = "../a" },
    ["no size"] = { ["X-Filestore-Size"] = "many" }, ["two of one header"] = { ["ETag"] = { "a", "b" } },
}) do
    check("no decision: " .. name, nil, edge.decision_of(answer(changes), 100))
end
check("without a time it holds for none", 100, edge.decision_of(answer({ ["X-Filestore-Seconds"] = false }), 100).ends)

local again = edge.unpacked(edge.packed(edge.decision_of(answer({ ["X-Filestore-Rate"] = "4096" }), 100)))
check("from shared memory: how fast", "4096", again.rate)
check("from shared memory: all the same", edge.packed(again), edge.packed(edge.unpacked(edge.packed(again))))
check("from shared memory: the number of headers", #decision.names, #again.names)
check("from shared memory: no signature", "", again.signature)
local signed = edge.decision_of(answer({ ["X-Filestore-Signature"] = "X-Amz-Date=1&a=b?c" }), 100)
check("a signature of the store", "X-Amz-Date=1&a=b?c", signed.signature)
check("it is no header", #decision.names, #signed.names)
local unpacked = edge.unpacked(edge.packed(signed))
check("from shared memory: the signature", "X-Amz-Date=1&a=b?c", unpacked.signature)
check("from shared memory: beside the place", "things/a/b", unpacked.blob)
check("no decision: two signatures", nil,
      edge.decision_of(answer({ ["X-Filestore-Signature"] = { "a", "b" } }), 100))

-- What is kept.
local now = edge.now()
local function ending(seconds)
    return edge.decision_of(answer({ ["X-Filestore-Seconds"] = tostring(seconds) }), now)
end
edge.remember("good", ending(60))
edge.remember("over", ending(0))
edge.remember("soon", ending(0.02))
check("what holds is known", "things/a/b", (edge.known("good") or {}).blob)
check("under its key only", nil, edge.known("Good"))
check("what is over is not kept", nil, edge.known("over"))
while edge.now() < now + 0.02 do ngx.sleep(0.005) end
check("what has ended is not known", nil, edge.known("soon"))
ngx.shared.filestore_decisions:set("another worker's", edge.packed(ending(60)))
ngx.shared.filestore_decisions:set("another worker's, over", edge.packed(ending(0)))
check("what another worker left is known", "things/a/b", (edge.known("another worker's") or {}).blob)
check("while it holds", nil, edge.known("another worker's, over"))
for number = 1, 20000 do edge.remember("key " .. number, decision) end
check("what is over takes no place", true, edge.kept() < 10)
local holding = ending(60)
for number = 1, 20000 do edge.remember("key " .. number, holding) end
check("a worker keeps no more than two tables full", true, edge.kept() <= 8192)
check("the last ones", "things/a/b", (edge.known("key 20000") or {}).blob)
check("not the first ones", nil, edge.known("key 1"))
