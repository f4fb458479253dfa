-- Moves the projection of a board from one position of its ledger to a later one, if it stands there.
--
-- KEYS  header, ranks, totals, channel
-- ARGV  generation, revision and mark to move from, revision and mark to move to,
--       then for each user that changed: user id, total, reached revision
-- Gives {'applied', rank of each user in the order given},
--       {'elsewhere', generation, revision, mark} or {'missing'}; nothing is written in these two cases.
--
-- A missing header means an empty projection; it stands at revision 0 in the generation given.
local header = redis.call('HMGET', KEYS[1], 'generation', 'revision', 'mark')
if not header[1] then
    if ARGV[2] ~= '0' then
        return {'missing'}
    end
elseif header[1] ~= ARGV[1] or header[2] ~= ARGV[2] or header[3] ~= ARGV[3] then
    return {'elsewhere', header[1], header[2], header[3]}
end

-- Of equal totals the one reached earlier comes first in descending order, so its member must be the
-- greater one: the distance of the reached revision from 2^53-1, in a fixed width, before the user id.
local function member_of(user, reached)
    return string.format('%016.0f', 9007199254740991 - tonumber(reached)) .. user
end

for i = 6, #ARGV, 3 do
    local user, total, reached = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    local former = redis.call('HGET', KEYS[3], user)
    if former then
        redis.call('ZREM', KEYS[2], member_of(user, string.match(former, ':(%d+)$')))
    end
    redis.call('ZADD', KEYS[2], total, member_of(user, reached))
    redis.call('HSET', KEYS[3], user, total .. ':' .. reached)
end
redis.call('HSET', KEYS[1], 'generation', ARGV[1], 'revision', ARGV[4], 'mark', ARGV[5],
    'members', redis.call('ZCARD', KEYS[2]))

local reply, hinted = {'applied'}, {}
for i = 6, #ARGV, 3 do
    local user, total, reached = ARGV[i], ARGV[i + 1], ARGV[i + 2]
    local rank = string.format('%.0f', redis.call('ZREVRANK', KEYS[2], member_of(user, reached)) + 1)
    reply[#reply + 1] = rank
    hinted[#hinted + 1] = {user, total, rank, reached}
end
redis.call('PUBLISH', KEYS[4], cjson.encode({
    before = {ARGV[2], ARGV[3]}, after = {ARGV[4], ARGV[5]}, standings = hinted,
}))
return reply
