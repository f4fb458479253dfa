#!lua flags=no-writes
-- Reads a user's standing and its neighbours.
--
-- KEYS  header, ranks, totals
-- ARGV  generation, user id, radius
-- Gives {'missing'}, {'elsewhere' or 'broken', generation, revision, mark, members}, or
--       {'read', generation, revision, mark, 0-based rank of the first, flat list of member and score};
--       the list is empty if the board does not have the user.
local header, reply = read_header(ARGV[1])
if not header then
    return reply
end

local standing = redis.call('HGET', KEYS[3], ARGV[2])
if not standing then
    return {'read', header[1], header[2], header[3], '0', {}}
end
local rank = redis.call('ZREVRANK', KEYS[2], member_of(ARGV[2], reached_in(standing)))
local first = math.max(0, rank - tonumber(ARGV[3]))
local page = redis.call('ZREVRANGE', KEYS[2], first, rank + tonumber(ARGV[3]), 'WITHSCORES')
return {'read', header[1], header[2], header[3], string.format('%.0f', first), page}
