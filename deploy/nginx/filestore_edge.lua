-- Edge mode: nginx keeps the gateway's decisions about reads for a moment and sends the bytes by itself.
--
-- Theory of operation. A decision says where the bytes are, which headers go with them and how long that holds. It is
-- whatever the gateway says to a GET of the same address by the same caller, which /_filestore_decision puts to it. A
-- worker keeps decisions in a table of its own; what it does not know, another worker may have left in shared memory;
-- what nobody knows the gateway is asked, once for however many requests wait for it. `way` runs for every request and
-- costs next to nothing; only `ask` can wait. Where the bytes are in a store, the decision has the signature that nginx
-- fetches them with, and ends before it; what the store says of itself is replaced by `show`, slices are left alone.
--
-- Knows HTTP's ranges in their plain form, and which headers make the gateway's answer another one. Does not know
-- whose a credential is, nor what a dialect says: what is not plainly a read goes to the gateway, untouched.
--
-- Rule: no decision is anybody else's: the key has all that the gateway is told (see /_filestore_decision), and
-- whatever else could matter is passed on. No decision is acted on after its end. Nothing is written to a disk.

local ffi = require "ffi"
local semaphore = require "ngx.semaphore"

local byte, concat, find, sub = string.byte, table.concat, string.find, string.sub
local type, pairs, pcall, tonumber = type, pairs, pcall, tonumber
local ngx, var, header, shared = ngx, ngx.var, ngx.header, ngx.shared
local get_headers, get_method, is_internal = ngx.req.get_headers, ngx.req.get_method, ngx.req.is_internal

local edge = {}

local SEND, ASK, PASS = "/_filestore_send", "/_filestore_ask", ""
local GATEWAY = "@filestore_gateway"
local SHARING = { share_all_vars = true }    -- one id for the request and for what it asks

-- The addresses of files. One that is missing here is served all the same, through the gateway.
local FILES = [=[^(/filestore)?/(files/[^/]+|groupfiles/[^/]+|groups/[^/]+/files/[^/]+|v1/file/[^/]+|api/files/[^/]+|private-files/[^/]+/[^/]+/[^/]+)$]=]  -- luacheck: ignore 631

-- With one of these a request is no plain read, or is answered with other headers.
local SIGNIFICANT = {
    ["content-length"] = true, ["transfer-encoding"] = true, ["expect"] = true, ["upgrade"] = true,
    ["if-match"] = true, ["if-none-match"] = true, ["if-modified-since"] = true, ["if-unmodified-since"] = true,
    ["origin"] = true, ["want-digest"] = true,
    ["x-hasura-filestore-range"] = true, ["x-hasura-role"] = true, ["gravwell-token"] = true,
}

-- What of a decision's head is not of the file. Accept-Ranges nginx says by itself with a 200.
local NOT_OF_THE_FILE = {
    ["accept-ranges"] = true, ["connection"] = true, ["content-length"] = true, ["date"] = true, ["keep-alive"] = true,
    ["last-modified"] = true, ["server"] = true, ["transfer-encoding"] = true, ["x-request-id"] = true,
}

local MOST_KEPT = 4096           -- decisions in each of a worker's two tables
local MOST_KEY_BYTES = 4096      -- of an address and a credential together; what is longer is passed on
local GENERATION_SECONDS = 10    -- after which a table with credentials is on its way out
local PATIENCE_SECONDS = 130     -- longer than proxy_read_timeout: by then whoever asks has an answer, or has gone
local SMALL_BYTES = 32 * 1024    -- goes faster in one write with its headers than by sendfile
local MOST_DIGITS = 15           -- of a number in a range: a double is exact up to 9e15

-- Seconds of a clock that nobody sets, and that all workers share. (CLOCK_MONOTONIC_COARSE of Linux: 4 ms, 5 ns.)
ffi.cdef [[
    typedef struct { long seconds; long nanoseconds; } filestore_edge_time;
    int filestore_edge_clock(int, filestore_edge_time *) __asm__("clock_gettime");
]]
local COARSE = 6
local time = ffi.new("filestore_edge_time")

function edge.now()
    ffi.C.filestore_edge_clock(COARSE, time)
    return tonumber(time.seconds) + tonumber(time.nanoseconds) * 1e-9
end
local now = edge.now

-- Ranges ------------------------------------------------------------------------------------------------------------

-- The number that `text` has from `at` on, or nil without a digit there; and where it ends.
local function number(text, at)
    local value, stop = 0, at
    local digit = byte(text, stop)
    while digit and digit >= 48 and digit <= 57 and stop - at < MOST_DIGITS do
        value, stop = value * 10 + digit - 48, stop + 1
        digit = byte(text, stop)
    end
    return stop > at and value or nil, stop
end

-- How many bytes a Range asks for of `size`, or nil if it is not one satisfiable range in plain form.
function edge.length_of(range, size)
    if sub(range, 1, 6) ~= "bytes=" then return nil end
    local first, dash = number(range, 7)
    if byte(range, dash) ~= 45 then return nil end
    local last, stop = number(range, dash + 1)
    if stop <= #range then return nil end
    if not first then return last and last > 0 and math.min(last, size) or nil end
    if first >= size or (last and last < first) then return nil end
    return math.min(last or size, size - 1) - first + 1
end

-- Decisions ---------------------------------------------------------------------------------------------------------

-- The decision in an answer of the gateway that was asked at `asked`; nil if it is no plain yes.
function edge.decision_of(answer, asked)
    local said = answer.header
    local blob, size = said["X-Filestore-Blob"], tonumber(said["X-Filestore-Size"])
    local signature = said["X-Filestore-Signature"] or ""
    if answer.status ~= 200 or answer.truncated or type(blob) ~= "string" or not size then return nil end
    if type(signature) ~= "string" then return nil end
    if find(blob, "..", 1, true) then return nil end
    local found = {
        ends = asked + (tonumber(said["X-Filestore-Seconds"]) or 0), blob = blob, size = size, signature = signature,
        rate = said["X-Filestore-Rate"] or "", etag = said["ETag"] or "", modified = said["Last-Modified"] or "",
        names = {}, values = {},
    }
    for name, value in pairs(said) do
        local known = name:lower()
        if not NOT_OF_THE_FILE[known] and not find(known, "^x%-filestore%-") and not find(known, "^x%-accel%-") then
            if type(value) ~= "string" then return nil end
            found.names[#found.names + 1], found.values[#found.values + 1] = name, value
        end
    end
    return found
end

-- A decision as text, for shared memory: lines, of which no header has one too many. No place has a question mark.
function edge.packed(decision)
    local place = decision.signature == "" and decision.blob or decision.blob .. "?" .. decision.signature
    local lines = { ("%.3f"):format(decision.ends), place, ("%d"):format(decision.size), decision.rate,
                    decision.etag, decision.modified }
    for at, name in ipairs(decision.names) do
        lines[#lines + 1], lines[#lines + 2] = name, decision.values[at]
    end
    return concat(lines, "\n")
end

function edge.unpacked(text)
    local lines = {}
    for line in (text .. "\n"):gmatch("(.-)\n") do lines[#lines + 1] = line end
    local blob, signature = lines[2]:match("^([^?]*)%??(.*)$")
    local found = { ends = tonumber(lines[1]), blob = blob, signature = signature, size = tonumber(lines[3]),
                    rate = lines[4], etag = lines[5], modified = lines[6], names = {}, values = {} }
    for at = 7, #lines, 2 do
        found.names[#found.names + 1], found.values[#found.values + 1] = lines[at], lines[at + 1]
    end
    return found
end

-- A worker's own table, in two generations, so that it is bounded and forgets without being walked through.
local young, old, count, began = {}, {}, 0, now()

function edge.remember(key, decision)
    local at = now()
    if decision.ends <= at then return end
    if count >= MOST_KEPT or at > began + GENERATION_SECONDS then
        young, old, count, began = {}, young, 0, at
    end
    young[key], count = decision, count + 1
end

-- What is known under `key` and still holds, or nil.
function edge.known(key)
    local decision = young[key] or old[key]
    if decision and now() < decision.ends then return decision end
    local text = shared.filestore_decisions:get(key)
    if not text then return nil end
    decision = edge.unpacked(text)
    if now() >= decision.ends then return nil end
    edge.remember(key, decision)
    return decision
end

-- How many decisions a worker keeps, at this moment: for tests of its bound.
function edge.kept()
    local number_of = 0
    for _, generation in pairs({ young, old }) do
        for _ in pairs(generation) do number_of = number_of + 1 end
    end
    return number_of
end

-- Requests ----------------------------------------------------------------------------------------------------------

-- Range and If-Range of a plain read, and true; nil of any other request. The gateway is told nothing of a header
-- that this lets pass, but of those that are in the key.
local function plain()
    local method = get_method()
    if method ~= "GET" and method ~= "HEAD" then return nil end
    local headers, cut = get_headers()
    if cut then return nil end
    local range, if_range
    for name, value in pairs(headers) do
        if type(value) ~= "string" or SIGNIFICANT[name] then return nil end
        if name == "range" then range = value elseif name == "if-range" then if_range = value end
    end
    if range and method == "HEAD" then return nil end
    -- A date, which nginx compares with the file's; or a tab around it, which nginx takes for a part of it.
    if if_range and (byte(if_range) ~= 34 or byte(if_range, -1) ~= 34) then return nil end
    return true, range, if_range
end

-- The headers of the file. With a part nginx does not say by itself that there are parts.
local function show(decision, partial)
    local names, values = decision.names, decision.values
    for at = 1, #names do header[names[at]] = values[at] end
    if partial then header["Accept-Ranges"] = "bytes" end
end

-- The response out of the store: its head is shown when the store's own has come.
local function prepare_fetch(decision, partial)
    ngx.ctx.filestore_decision, ngx.ctx.filestore_partial = decision, partial
    var.filestore_object = "/" .. decision.blob
    var.filestore_signature = decision.signature
end

-- Prepare the response, or return false if the gateway is to word it.
local function prepare(decision, range, if_range)
    local length = range and edge.length_of(range, decision.size)
    if range and not length then return false end
    local partial = range and (not if_range or if_range == decision.etag)
    if decision.signature ~= "" then
        if get_method() == "HEAD" then return false end    -- a slice would be fetched to say what the gateway knows
        prepare_fetch(decision, partial)
    else
        show(decision, partial)
        if partial and length <= SMALL_BYTES then var.filestore_small = "yes" end
    end
    if decision.modified ~= "" then var.filestore_modified = decision.modified end
    if decision.rate ~= "" then var.limit_rate = decision.rate end
    var.filestore_blob = decision.blob
    return true
end

-- Show the decision's headers in the place of the store's. A slice has no decision of its own.
function edge.show()
    local decision = ngx.ctx.filestore_decision
    if decision then show(decision, ngx.ctx.filestore_partial) end
end

-- Where the request goes: SEND with the response prepared, ASK to find out, PASS for wherever it would go without us.
function edge.way()
    if is_internal() then return PASS end
    local is_plain, range, if_range = plain()
    if not is_plain then return PASS end
    local key = var.filestore_key
    local decision = edge.known(key)
    if decision then return prepare(decision, range, if_range) and SEND or PASS end
    if #key > MOST_KEY_BYTES or not ngx.re.find(var.uri, FILES, "jo") then return PASS end
    return ASK
end

-- Asking ------------------------------------------------------------------------------------------------------------

-- Who asks, by key, and how many wait for it.
local flights = {}

local function look_up(key)
    local asked = now()
    local decision = edge.decision_of(ngx.location.capture("/_filestore_decision", SHARING), asked)
    if decision and decision.ends > now() then
        edge.remember(key, decision)
        shared.filestore_decisions:set(key, edge.packed(decision), decision.ends - now())
    end
    return decision
end

-- The gateway's decision, asked for once at a time. Whoever waited acts on it only while it holds; a decision for no
-- time at all is for the request that asked.
local function asked_once(key)
    local flight = flights[key]
    if flight and now() < flight.began + PATIENCE_SECONDS then
        flight.waiting = flight.waiting + 1
        flight.landed:wait(PATIENCE_SECONDS)
        local decision = flight.decision
        return decision and now() < decision.ends and decision or nil
    end
    flight = { landed = semaphore.new(), waiting = 0, began = now() }
    flights[key] = flight
    local asked, decision = pcall(look_up, key)
    if flights[key] == flight then flights[key] = nil end
    if asked then flight.decision = decision else ngx.log(ngx.ERR, "no decision: ", decision) end
    if flight.waiting > 0 then flight.landed:post(flight.waiting) end
    return flight.decision
end

-- Ask for a decision and prepare the response, or hand the request to the gateway.
function edge.ask()
    local key = var.filestore_key
    local decision = edge.known(key) or asked_once(key)
    local _, range, if_range = plain()
    if not decision or not prepare(decision, range, if_range) then return ngx.exec(GATEWAY) end
end

-- The gateway answers after all (there is no such blob): nothing of what was prepared is in its answer. In the middle
-- of a body it cannot: what it says would be in the place of bytes, so the client is cut.
function edge.give_up()
    if ngx.is_subrequest then return ngx.exit(ngx.HTTP_CLOSE) end
    for name in pairs(ngx.resp.get_headers()) do
        if not NOT_OF_THE_FILE[name] then header[name] = nil end
    end
    header["Accept-Ranges"] = nil
end

return edge
