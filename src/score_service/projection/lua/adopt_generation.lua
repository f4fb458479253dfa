#!lua
-- Takes over a generation that was being made, with all that was loaded, under a name of its own.
--
-- KEYS  header; ranks and totals of all time, and of each period that it has; the same of the generation that is
--       taken over; progress of that one; progress; and which generation is being made
-- ARGV  generation; the one that is taken over; ids of these periods
-- Gives {number of steps made, checkpoint of the last one}, also if this was done before, or
--       {} if the other generation is not the one being made any more, has other periods, or is not whole.
--
-- Its former maker finds none of its keys at its next step. So a generation has one maker at a time, and every
-- step follows the one before it. Only a step lets the keys live longer: what nobody can go on with goes.
local making = redis.call('GET', KEYS[#KEYS])
local count = (#KEYS - 4) / 2
if making == ARGV[2] and making ~= redis.call('HGET', KEYS[1], 'generation')
    and (redis.call('HGET', KEYS[#KEYS - 2], 'periods') or '') == ARGV[3]
    and redis.call('EXISTS', KEYS[2 + count], unpack(KEYS, 3 + count, #KEYS - 2)) == count + 1 then
    for i = 2, 1 + count do
        redis.call('RENAME', KEYS[i + count], KEYS[i])
    end
    redis.call('RENAME', KEYS[#KEYS - 2], KEYS[#KEYS - 1])
    redis.call('SET', KEYS[#KEYS], ARGV[1], 'KEEPTTL')
elseif making ~= ARGV[1]
    or redis.call('EXISTS', KEYS[2], unpack(KEYS, 3, 1 + count)) + redis.call('EXISTS', KEYS[#KEYS - 1]) <= count then
    return {}
end
return redis.call('HMGET', KEYS[#KEYS - 1], 'steps', 'checkpoint')
