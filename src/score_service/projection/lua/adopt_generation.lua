#!lua
-- Takes over a generation that was being made, with all that was loaded, under a name of its own.
--
-- KEYS  header, ranks, totals, progress, which generation is being made, and ranks, totals and progress of the
--       generation that is taken over
-- ARGV  generation; the one that is taken over
-- Gives {number of steps made, checkpoint of the last one}, also if this was done before, or
--       {} if the other generation is not the one being made any more, or not whole.
--
-- Its former maker finds none of its keys at its next step. So a generation has one maker at a time, and every
-- step follows the one before it. Only a step lets the keys live longer: what nobody can go on with goes.
local making = redis.call('GET', KEYS[5])
if making == ARGV[2] and making ~= redis.call('HGET', KEYS[1], 'generation')
    and redis.call('EXISTS', KEYS[6], KEYS[7], KEYS[8]) == 3 then
    for i = 2, 4 do
        redis.call('RENAME', KEYS[i + 4], KEYS[i])
    end
    redis.call('SET', KEYS[5], ARGV[1], 'KEEPTTL')
elseif making ~= ARGV[1] or redis.call('EXISTS', KEYS[2], KEYS[3], KEYS[4]) < 3 then
    return {}
end
return redis.call('HMGET', KEYS[4], 'steps', 'checkpoint')
