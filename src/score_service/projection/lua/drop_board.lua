#!lua flags=allow-oom
-- Removes the projection of a board, if it is still the one that was looked at.
--
-- KEYS  header, and ranks and totals: of all time, and of each period in the header
-- ARGV  generation, revision, mark
-- Gives 1 if it was removed, else 0.
--
-- At one position a generation has the same periods always.
local header = redis.call('HMGET', KEYS[1], 'generation', 'revision', 'mark')
if header[1] ~= ARGV[1] or header[2] ~= ARGV[2] or header[3] ~= ARGV[3] then
    return 0
end
for i = 1, #KEYS do
    redis.call('UNLINK', KEYS[i])
end
return 1
