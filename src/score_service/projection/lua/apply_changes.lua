#!lua
-- Moves the projection of a board from one position of its ledger to a later one, if it stands there.
--
-- KEYS  header, and ranks and totals: of all time, of each period that changed, and of each that became final
-- ARGV  generation; ids of these periods; revision and mark to move from, revision and mark to move to;
--       the channel of the board; and lines of 'user total reached[ version[ flag]]' (see `set_standings`), a line
--       for each user that changed: of all time, and of each period that changed
-- Gives {'applied', the rank of each user in the order given, of all time, as one text}, or what the header says
--       (see `describe`) as 'elsewhere' or 'broken', or {'missing'}; nothing is written then.
--
-- A rank is a number; '-' for a user without points; 'h' for one who is hidden; and for one who is shadowed 's',
-- followed by what the rank would be, if there is one.
--
-- A missing header means an empty projection: it stands at revision 0, in the generation given, unless
-- only the header was lost.
--
-- The channel is no key: while a slot of a cluster moves, a script whose keys are not all there is put off.
local header, reply, held = read_header(ARGV[1], ARGV[2])
if header then
    if header[2] ~= ARGV[3] or header[3] ~= ARGV[4] then
        return describe('elsewhere', header)
    end
elseif reply[1] ~= 'missing' or ARGV[3] ~= '0' or redis.call('EXISTS', KEYS[2], unpack(KEYS, 3)) > 0 then
    return reply
end

local shown = header and reply or {}
held = held or {}

-- Sets the standings at an index, keeps count of them, and gives the ranks.
local function move(index, lines)
    local is_flagged = index > 0 and held[1] ~= shown[1]
    local users, members, unranked, more, more_shown = set_standings(index, lines, '', is_flagged)
    held[1 + index], shown[1 + index] = (held[1 + index] or 0) + more, (shown[1 + index] or 0) + more_shown
    local ranks = {}
    for i, member in ipairs(members) do
        if member then
            ranks[i] = redis.call('ZREVRANK', KEYS[2 + 2 * index], member) + 1
        else
            local total, reached, flag = unpack(unranked[i])
            local rank = rank_of(2 + 2 * index, users[i], total, reached, flag)
            ranks[i] = rank and flag .. rank + 1 or flag == '' and '-' or flag
        end
    end
    return table.concat(ranks, ' ')
end

local positions = table.concat({ARGV[3], ARGV[4], ARGV[5], ARGV[6]}, ' ')
local ranks = move(0, ARGV[8])
local hint = {ARGV[8] == '' and positions or table.concat({positions, ranks, ARGV[8]}, '\n')}
redis.call('HSET', KEYS[1], 'generation', ARGV[1], 'revision', ARGV[5], 'mark', ARGV[6], 'members', held[1])
if shown[1] ~= held[1] or header and header[6] then
    redis.call('HSET', KEYS[1], 'ranked', shown[1])
end

if ARGV[2] ~= '' then
    local members, ranked, ids = read_periods(header and header[5])
    local index = 0
    for id in string.gmatch(ARGV[2], '%S+') do
        index = index + 1
        local lines = ARGV[8 + index]
        if lines then
            hint[1 + index] = table.concat({id, move(index, lines), lines}, '\n')
            if not members[id] then
                ids[#ids + 1] = id
            end
            members[id], ranked[id] = held[1 + index], shown[1 + index]
        else
            redis.call('UNLINK', KEYS[2 + 2 * index], KEYS[3 + 2 * index])
            hint[1 + index] = id
            members[id] = nil
        end
    end
    local texts = {}
    for _, id in ipairs(ids) do
        if members[id] then
            texts[#texts + 1] = id .. '=' .. members[id] .. (ranked[id] == members[id] and '' or ':' .. ranked[id])
        end
    end
    redis.call('HSET', KEYS[1], 'periods', table.concat(texts, ' '))
end

redis.call('SPUBLISH', ARGV[7], table.concat(hint, '\n\n'))
return {'applied', ranks}
