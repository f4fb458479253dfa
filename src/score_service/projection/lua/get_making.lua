#!lua flags=no-writes
-- Tells which generation of a board was last being made, and whether its maker is at it.
--
-- KEYS  which generation is being made
-- ARGV  seconds that a generation lives after a step; seconds after a step in which its maker is at it
-- Gives the generation, empty if there is none, and 1 or 0.
local generation = redis.call('GET', KEYS[1])
if not generation then
    return {'', 0}
end
local idle = 1000 * tonumber(ARGV[1]) - redis.call('PTTL', KEYS[1])
return {generation, idle < 1000 * tonumber(ARGV[2]) and 1 or 0}
