#!lua flags=allow-oom
-- Removes a generation of a board that was being made, unless the board has it now.
--
-- KEYS  header; ranks and totals of all time, and of each period that the generation has; progress; and which
--       generation is being made
-- ARGV  generation
-- Gives 1 if it was removed, else 0.
if redis.call('HGET', KEYS[1], 'generation') == ARGV[1] then
    return 0
end
for i = 2, #KEYS - 1 do
    redis.call('UNLINK', KEYS[i])
end
if redis.call('GET', KEYS[#KEYS]) == ARGV[1] then
    redis.call('UNLINK', KEYS[#KEYS])
end
return 1
