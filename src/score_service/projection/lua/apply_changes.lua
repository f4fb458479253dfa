#!lua
-- Moves the projection of a board from one position of its ledger to a later one, if it stands there.
--
-- KEYS  header, ranks, totals
-- ARGV  generation, revision and mark to move from, revision and mark to move to,
--       a line of 'user total reached' for each user that changed, and the channel of the board
-- Gives {'applied', the rank of each user in the order given, as one text},
--       {'elsewhere' or 'broken', generation, revision, mark, members} or {'missing'}; nothing is written then.
--
-- A missing header means an empty projection: it stands at revision 0, in the generation given, unless
-- only the header was lost.
--
-- The channel is no key: while a slot of a cluster moves, a script whose keys are not all there is put off.
local header, reply = read_header(ARGV[1])
if header then
    if header[2] ~= ARGV[2] or header[3] ~= ARGV[3] then
        return {'elsewhere', header[1], header[2], header[3], header[4]}
    end
elseif reply[1] ~= 'missing' or ARGV[2] ~= '0' or redis.call('EXISTS', KEYS[2], KEYS[3]) > 0 then
    return reply
end

local members = set_standings(ARGV[6])
redis.call('HSET', KEYS[1], 'generation', ARGV[1], 'revision', ARGV[4], 'mark', ARGV[5],
    'members', redis.call('ZCARD', KEYS[2]))

local ranks = {}
for i, member in ipairs(members) do
    ranks[i] = redis.call('ZREVRANK', KEYS[2], member) + 1
end
ranks = table.concat(ranks, ' ')
local positions = table.concat({ARGV[2], ARGV[3], ARGV[4], ARGV[5]}, ' ')
redis.call('SPUBLISH', ARGV[7], table.concat({positions, ranks, ARGV[6]}, '\n'))
return {'applied', ranks}
