#!lua
-- Fills keys that nobody reads yet: a generation of a board that is being made, step by step.
--
-- KEYS  header; ranks and totals of all time, of each period that the generation has after this step, and of
--       each that it has no more; progress; and which generation is being made
-- ARGV  generation; ids of the periods that it has after this step; number of this step, 1 for the first;
--       seconds that the keys live from now on; what the lines are (the `kind` in `set_standings`); checkpoint to
--       go on from after this step; and lines of standings: of all time, and of each of these periods
-- Gives 'loaded', also if this step was made before, or
--       'lost' if the steps before it are not there, or the generation is in use already.
--
-- The number of steps made is kept with them, so that a Redis that has stepped back is found out, also
-- where the number of members would not tell.
local made = tonumber(redis.call('HGET', KEYS[#KEYS - 1], 'steps') or 0)
local step = tonumber(ARGV[3])
if made >= step then
    return 'loaded'
elseif made < step - 1 or made == 0 and redis.call('EXISTS', KEYS[2], unpack(KEYS, 3, #KEYS - 2)) > 0 then
    return 'lost'
end
local is_flagged
for index = 0, (#KEYS - 5) / 2 do
    local lines = ARGV[7 + index]
    if lines then
        set_standings(index, lines, ARGV[5], is_flagged)
    else
        redis.call('UNLINK', KEYS[2 + 2 * index], KEYS[3 + 2 * index])
    end
    if index == 0 then
        is_flagged = redis.call('HLEN', KEYS[3]) ~= redis.call('ZCARD', KEYS[2])
    end
end
redis.call('HSET', KEYS[#KEYS - 1], 'steps', ARGV[3], 'checkpoint', ARGV[6], 'periods', ARGV[2])
redis.call('SET', KEYS[#KEYS], ARGV[1], 'EX', ARGV[4])
for i = 2, #KEYS - 1 do
    redis.call('EXPIRE', KEYS[i], ARGV[4])
end
return 'loaded'
