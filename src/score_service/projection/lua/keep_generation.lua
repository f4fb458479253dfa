#!lua flags=allow-oom
-- Lets a generation that is being made live on, while its maker waits for something else than a step.
--
-- KEYS  header; ranks and totals of all time, and of each period that the generation has; progress; and which
--       generation is being made
-- ARGV  generation; seconds that the keys live from now on
-- Gives 1 if it is the one being made, else 0: nothing is written then.
if redis.call('GET', KEYS[#KEYS]) ~= ARGV[1] or redis.call('HGET', KEYS[1], 'generation') == ARGV[1] then
    return 0
end
for i = 2, #KEYS do
    redis.call('EXPIRE', KEYS[i], ARGV[2])
end
return 1
