#!lua
-- Fills keys that nobody reads yet: a generation of a board that is being made, step by step.
--
-- KEYS  header, ranks, totals, progress, and which generation is being made
-- ARGV  generation; number of this step, 1 for the first; seconds that the keys live from now on; lines of
--       standings; 'new' if none of their users was loaded before; checkpoint to go on from after this step
-- Gives 'loaded', also if this step was made before, or
--       'lost' if the steps before it are not there, or the generation is in use already.
--
-- The number of steps made is kept with them, so that a Redis that has stepped back is found out, also
-- where the number of members would not tell.
local made = tonumber(redis.call('HGET', KEYS[4], 'steps') or 0)
local step = tonumber(ARGV[2])
if made >= step then
    return 'loaded'
elseif made < step - 1 or made == 0 and redis.call('EXISTS', KEYS[2], KEYS[3]) > 0 then
    return 'lost'
end
set_standings(ARGV[4], ARGV[5] == 'new')
redis.call('HSET', KEYS[4], 'steps', ARGV[2], 'checkpoint', ARGV[6])
redis.call('SET', KEYS[5], ARGV[1], 'EX', ARGV[3])
for i = 2, 4 do
    redis.call('EXPIRE', KEYS[i], ARGV[3])
end
return 'loaded'
