#!lua flags=allow-oom
-- Removes the projection of a board, if it is still the one that was looked at.
--
-- KEYS  header, ranks, totals
-- ARGV  generation, revision, mark
-- Gives 1 if it was removed, else 0.
local header = redis.call('HMGET', KEYS[1], 'generation', 'revision', 'mark')
if header[1] ~= ARGV[1] or header[2] ~= ARGV[2] or header[3] ~= ARGV[3] then
    return 0
end
redis.call('UNLINK', KEYS[1], KEYS[2], KEYS[3])
return 1
