-- What the scripts of a board share. It is put before each of them.
--
-- KEYS  begins with header, ranks, totals
--
-- header  a hash: generation, revision, mark, and members, the number of entries of each of the other two
-- ranks   a sorted set: a member for each user, scored by the total
-- totals  a hash: user id to 'total:reached revision'

-- Of equal totals the one reached earlier comes first in descending order, so its member must be the
-- greater one: the distance of the reached revision from 2^53-1, in a fixed width, before the user id.
local function member_of(user, reached)
    return string.format('%016.0f%s', 9007199254740991 - reached, user)
end

local function reached_in(standing)
    return string.sub(standing, string.find(standing, ':', 1, true) + 1)
end

-- Reads the header of a board whose keys are whole and of the generation that the caller knows. Otherwise
-- gives nil and what to reply: {'missing'}, or 'elsewhere' (the generation is another one) or 'broken'
-- (Redis has lost a key) with generation, revision, mark and members.
local function read_header(generation)
    local header = redis.call('HMGET', KEYS[1], 'generation', 'revision', 'mark', 'members')
    if not header[1] then
        return nil, {'missing'}
    elseif header[1] ~= generation then
        return nil, {'elsewhere', header[1], header[2], header[3], header[4]}
    end
    local members = tonumber(header[4])
    if redis.call('ZCARD', KEYS[2]) ~= members or redis.call('HLEN', KEYS[3]) ~= members then
        return nil, {'broken', header[1], header[2], header[3], header[4]}
    end
    return header
end

local function set_some(users, totals, reached, members, first, last, are_new)
    local removed, ranked, totalled, n = {}, {}, {}, 0
    local formers = are_new and {} or redis.call('HMGET', KEYS[3], unpack(users, first, last))
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
        redis.call('ZREM', KEYS[2], unpack(removed))
    end
    if n > 0 then
        redis.call('ZADD', KEYS[2], unpack(ranked))
        redis.call('HSET', KEYS[3], unpack(totalled))
    end
end

-- Sets the standings in lines of 'user total reached', but none that is older than what is there. So in
-- whatever order, and however often, they are set, the newest remains. Where the caller knows that none of
-- the users is there, it spares the look. Gives the member of each.
local function set_standings(lines, are_new)
    local users, totals, reached, members, count = {}, {}, {}, {}, 0
    for user, total, revision in string.gmatch(lines, '([^ ]+) ([^ ]+) ([^\n]+)\n?') do
        count = count + 1
        users[count], totals[count], reached[count] = user, total, revision
        members[count] = member_of(user, revision)
    end
    -- A call may have some thousand arguments: what Lua can unpack is limited.
    for first = 1, count, 1000 do
        set_some(users, totals, reached, members, first, math.min(first + 999, count), are_new)
    end
    return members
end
