#!lua flags=no-writes
-- Reads a page of a board, from the top or from where another page ended.
--
-- KEYS  header, ranks, totals
-- ARGV  generation, size, and either nothing more or the score and member that the page before ended with
-- Gives {'missing'}, {'elsewhere' or 'broken', generation, revision, mark, members}, or
--       {'read', generation, revision, mark, 0-based rank of the first, flat list of member and score}.
--
-- A member that has moved meanwhile stood before the page or stands before it now: the page starts at the
-- first entry below its score, or among its equals, so that nobody is left out.
local header, reply = read_header(ARGV[1])
if not header then
    return reply
end

local first = 0
if ARGV[3] then
    local rank = redis.call('ZREVRANK', KEYS[2], ARGV[4])
    if rank and redis.call('ZSCORE', KEYS[2], ARGV[4]) == ARGV[3] then
        first = rank + 1
    else
        first = redis.call('ZCOUNT', KEYS[2], '(' .. ARGV[3], '+inf')
    end
end
local page = redis.call('ZREVRANGE', KEYS[2], first, first + tonumber(ARGV[2]) - 1, 'WITHSCORES')
return {'read', header[1], header[2], header[3], string.format('%.0f', first), page}
