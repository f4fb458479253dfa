-- Reads the top of a board and the standings of some users, all at one position.
--
-- KEYS  header, ranks, totals
-- ARGV  generation, number of standings from the top, then user ids
-- Gives {'missing'}, {'elsewhere', generation, revision, mark} if the generation is another one, or
--       {'read', generation, revision, mark, top, users}: top is a flat list of member and score;
--       users is a flat list of 'total:reached' and 0-based rank, or two empty strings for an unknown user.
local header = redis.call('HMGET', KEYS[1], 'generation', 'revision', 'mark')
if not header[1] then
    return {'missing'}
elseif header[1] ~= ARGV[1] then
    return {'elsewhere', header[1], header[2], header[3]}
end

local top = {}
if ARGV[2] ~= '0' then
    top = redis.call('ZREVRANGE', KEYS[2], 0, tonumber(ARGV[2]) - 1, 'WITHSCORES')
end

local users = {}
for i = 3, #ARGV do
    local standing = redis.call('HGET', KEYS[3], ARGV[i])
    if standing then
        local reached = string.match(standing, ':(%d+)$')
        local member = string.format('%016.0f', 9007199254740991 - tonumber(reached)) .. ARGV[i]
        users[#users + 1] = standing
        users[#users + 1] = string.format('%.0f', redis.call('ZREVRANK', KEYS[2], member))
    else
        users[#users + 1] = ''
        users[#users + 1] = ''
    end
end
return {'read', header[1], header[2], header[3], top, users}
