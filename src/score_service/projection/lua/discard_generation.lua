#!lua flags=allow-oom
-- Removes a generation of a board that was being made, unless the board has it now.
--
-- KEYS  header, ranks, totals, progress, and which generation is being made
-- ARGV  generation
-- Gives 1 if it was removed, else 0.
if redis.call('HGET', KEYS[1], 'generation') == ARGV[1] then
    return 0
end
redis.call('UNLINK', KEYS[2], KEYS[3], KEYS[4])
if redis.call('GET', KEYS[5]) == ARGV[1] then
    redis.call('UNLINK', KEYS[5])
end
return 1
