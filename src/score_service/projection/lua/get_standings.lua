#!lua flags=no-writes
-- Reads the top of a board and the standings of some users, all at one position.
--
-- KEYS  header, ranks, totals
-- ARGV  generation, number of standings from the top, then user ids
-- Gives {'missing'}, {'elsewhere' or 'broken', generation, revision, mark, members}, or
--       {'read', generation, revision, mark, top, users}: top is a flat list of member and score;
--       users is a flat list of 'total:reached' and 0-based rank, or two empty strings for an unknown user.
local header, reply = read_header(ARGV[1])
if not header then
    return reply
end

local top = {}
if ARGV[2] ~= '0' then
    top = redis.call('ZREVRANGE', KEYS[2], 0, tonumber(ARGV[2]) - 1, 'WITHSCORES')
end

local users = {}
for i = 3, #ARGV do
    local standing = redis.call('HGET', KEYS[3], ARGV[i])
    if standing then
        users[#users + 1] = standing
        local rank = redis.call('ZREVRANK', KEYS[2], member_of(ARGV[i], reached_in(standing)))
        users[#users + 1] = string.format('%.0f', rank)
    else
        users[#users + 1] = ''
        users[#users + 1] = ''
    end
end
return {'read', header[1], header[2], header[3], top, users}
