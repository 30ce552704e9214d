-- What wrk saw, as one line of JSON. Times of wrk are in microseconds.
local percents = {1, 5, 10, 25, 50, 75, 90, 95, 99, 99.9, 99.99}

function done(summary, latency, requests)
  local points = {}
  for _, percent in ipairs(percents) do
    table.insert(points, string.format("[%g,%.4f]", percent, latency:percentile(percent) / 1000))
  end
  table.insert(points, string.format("[100,%.4f]", latency.max / 1000))
  local errors = summary.errors
  io.write(string.format(
    'WRK {"requests":%d,"seconds":%.6f,"bytes":%d,"errors":%d,"refused":%d,"latency":[%s]}\n',
    summary.requests, summary.duration / 1e6, summary.bytes,
    errors.connect + errors.read + errors.write + errors.timeout, errors.status,
    table.concat(points, ",")))
end
