-- What the scripts of a board share. It is put before each of them.
--
-- KEYS  begins with header, and then ranks and totals: of all time, and of each period that is looked at
--
-- header  a hash: generation, revision, mark, and members, the number of entries of each of the other two, of all
--         time; periods, the same of each period that somebody has points in, as 'id=members' with spaces between
-- ranks   a sorted set: a member for each user, scored by the total
-- totals  a hash: user id to 'total:reached revision'
--
-- A place is 0 for all time, and 1 for the first period in KEYS.

-- Of equal totals the one reached earlier comes first in descending order, so its member must be the
-- greater one: the distance of the reached revision from 2^53-1, in a fixed width, before the user id.
local function member_of(user, reached)
    return string.format('%016.0f%s', 9007199254740991 - reached, user)
end

local function reached_in(standing)
    return string.sub(standing, string.find(standing, ':', 1, true) + 1)
end

-- Gives a reply that says what a header says: a state, generation, revision, mark, members and periods.
local function describe(state, header)
    return {state, header[1], header[2], header[3], header[4], header[5] or ''}
end

-- Reads the periods of a header: the members of each by its id, and the ids in their order.
local function read_periods(text)
    local members, ids = {}, {}
    for id, count in string.gmatch(text or '', '(%S+)=(%d+)') do
        members[id], ids[#ids + 1] = tonumber(count), id
    end
    return members, ids
end

-- Writes them again, without those that have no members any more.
local function write_periods(members, ids)
    local texts = {}
    for _, id in ipairs(ids) do
        if members[id] then
            texts[#texts + 1] = id .. '=' .. members[id]
        end
    end
    return table.concat(texts, ' ')
end

-- Reads the header of a board whose keys are whole and of the generation that the caller knows: generation,
-- revision, mark, members, periods; and the members at each place, those of all time first. The ids of the periods
-- in KEYS are given with spaces between; one that the board does not have has 0 members. Otherwise gives nil and
-- what to reply: {'missing'}, or what the header says, as 'elsewhere' (the generation is another one) or 'broken'
-- (Redis has lost a key).
local function read_header(generation, periods)
    local header = redis.call('HMGET', KEYS[1], 'generation', 'revision', 'mark', 'members', 'periods')
    if not header[1] then
        return nil, {'missing'}
    elseif header[1] ~= generation then
        return nil, describe('elsewhere', header)
    end
    local members, held = {tonumber(header[4])}, periods ~= '' and read_periods(header[5])
    for period in string.gmatch(periods, '%S+') do
        members[#members + 1] = held[period] or 0
    end
    for i, count in ipairs(members) do
        if redis.call('ZCARD', KEYS[2 * i]) ~= count or redis.call('HLEN', KEYS[2 * i + 1]) ~= count then
            return nil, describe('broken', header)
        end
    end
    return header, members
end

local function set_some(ranks, users, totals, reached, members, first, last, are_new)
    local removed, ranked, totalled, n = {}, {}, {}, 0
    local formers = are_new and {} or redis.call('HMGET', KEYS[ranks + 1], unpack(users, first, last))
    for i = first, last do
        local former = formers[i - first + 1]
        former = former and reached_in(former)
        if not former or tonumber(former) < tonumber(reached[i]) then
            if former then
                removed[#removed + 1] = member_of(users[i], former)
            end
            ranked[n + 1], ranked[n + 2] = totals[i], members[i]
            totalled[n + 1], totalled[n + 2] = users[i], totals[i] .. ':' .. reached[i]
            n = n + 2
        end
    end
    if removed[1] then
        redis.call('ZREM', KEYS[ranks], unpack(removed))
    end
    if n > 0 then
        redis.call('ZADD', KEYS[ranks], unpack(ranked))
        redis.call('HSET', KEYS[ranks + 1], unpack(totalled))
    end
end

-- Sets the standings in lines of 'user total reached' at a place, but none that is older than what is there. So
-- in whatever order, and however often, they are set, the newest remains. Where the caller knows that none of
-- the users is there, it spares the look. Gives the member of each.
local function set_standings(place, lines, are_new)
    local users, totals, reached, members, count = {}, {}, {}, {}, 0
    for user, total, revision in string.gmatch(lines, '([^ ]+) ([^ ]+) ([^\n]+)\n?') do
        count = count + 1
        users[count], totals[count], reached[count] = user, total, revision
        members[count] = member_of(user, revision)
    end
    -- A call may have some thousand arguments: what Lua can unpack is limited.
    for first = 1, count, 1000 do
        local last = math.min(first + 999, count)
        set_some(2 + 2 * place, users, totals, reached, members, first, last, are_new)
    end
    return members
end
