-- The turn of a drain: KEYS[1] holds the node whose turn it is, for as long as it may take.
-- ARGV: "take" or "give", the node, milliseconds. Answers 1 when the turn is (or was) this node's.
local holder = redis.pcall("GET", KEYS[1])
-- Of a wrong type, or without an end: nobody's turn.
if type(holder) == "table" or redis.call("PTTL", KEYS[1]) == -1 then
  redis.call("DEL", KEYS[1])
  holder = false
end
if ARGV[1] == "take" then
  if holder and holder ~= ARGV[2] then
    return 0
  end
  redis.call("SET", KEYS[1], ARGV[2], "PX", ARGV[3])
  return 1
end
if holder ~= ARGV[2] then
  return 0
end
redis.call("DEL", KEYS[1])
return 1
