-- The time by which everything is decided: that of Redis, and of no node. Milliseconds since 1970,
-- and the same in microseconds, in which generations count.
local function clock()
  local time = redis.call('TIME')
  local stamp = tonumber(time[1]) * 1000000 + tonumber(time[2])
  return math.floor(stamp / 1000), stamp
end
