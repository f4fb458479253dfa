-- Reads a user's standing and its neighbours.
--
-- KEYS  header, ranks, totals
-- ARGV  generation, user id, radius
-- Gives {'missing'}, {'elsewhere', generation, revision, mark} if the generation is another one, or
--       {'read', generation, revision, mark, 0-based rank of the first, flat list of member and score};
--       the list is empty if the board does not have the user.
local header = redis.call('HMGET', KEYS[1], 'generation', 'revision', 'mark')
if not header[1] then
    return {'missing'}
elseif header[1] ~= ARGV[1] then
    return {'elsewhere', header[1], header[2], header[3]}
end

local standing = redis.call('HGET', KEYS[3], ARGV[2])
if not standing then
    return {'read', header[1], header[2], header[3], '0', {}}
end
local reached = string.match(standing, ':(%d+)$')
local member = string.format('%016.0f', 9007199254740991 - tonumber(reached)) .. ARGV[2]
local rank = redis.call('ZREVRANK', KEYS[2], member)
local first = math.max(0, rank - tonumber(ARGV[3]))
local page = redis.call('ZREVRANGE', KEYS[2], first, rank + tonumber(ARGV[3]), 'WITHSCORES')
return {'read', header[1], header[2], header[3], string.format('%.0f', first), page}
