#!lua
-- Puts a generation that was loaded in the place of the one a board has.
--
-- KEYS  header, ranks, totals, progress, which generation is being made, and ranks and totals of the one before
-- ARGV  generation; revision, mark and number of members; number of steps that were made;
--       the generation in the header as it was seen, empty if there was no header
-- Gives 'switched', also if this was done before,
--       'moved' if the header is not of the generation that was seen,
--       'behind' if the header is further than this generation was brought,
--       'lost' if what was loaded is not there any more.
--
-- Within its generation the header may have moved: it went along the same ledger.
local header = redis.call('HMGET', KEYS[1], 'generation', 'revision')
if header[1] == ARGV[1] then
    return 'switched'
elseif (header[1] or '') ~= ARGV[6] then
    return 'moved'
elseif header[1] and tonumber(header[2]) > tonumber(ARGV[2]) then
    return 'behind'
end
local members = tonumber(ARGV[4])
if (redis.call('HGET', KEYS[4], 'steps') or '0') ~= ARGV[5]
    or redis.call('ZCARD', KEYS[2]) ~= members or redis.call('HLEN', KEYS[3]) ~= members then
    return 'lost'
end
redis.call('HSET', KEYS[1], 'generation', ARGV[1], 'revision', ARGV[2], 'mark', ARGV[3], 'members', ARGV[4])
redis.call('PERSIST', KEYS[2])
redis.call('PERSIST', KEYS[3])
redis.call('UNLINK', KEYS[4], KEYS[5], KEYS[6], KEYS[7])
return 'switched'
