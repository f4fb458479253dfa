-- What the scripts of a board share. It is put before each of them.
--
-- KEYS  begins with header, and then ranks and totals: of all time, and of each period that is looked at
--
-- header  a hash: generation, revision, mark; members, the number of users in totals of all time, and ranked, the
--         number of those in ranks, if it was ever another one; periods, the same of each period that somebody has a
--         standing in, as 'id=members' or 'id=members:ranked' with spaces between
-- ranks   a sorted set: a member for each user who is ranked, scored by the total
-- totals  a hash: of each user 'total:reached revision', followed by ':version' if the standing was changed by
--         another revision than that, or the user is hidden; and then by ':h' if hidden or ':s' if shadowed
--
-- A user is ranked who has points and is not hidden. The others stay in totals, with a version, so that nothing
-- older comes back.
--
-- An index is 0 for all time, and 1 for the first period in KEYS.

-- A script makes its functions anew each time that it runs, so there are no more than are worth it.

-- Reads the totals of a user: total, reached revision, version (may be empty), and flag (empty if visible).
local STANDING = '^(%d+):(%d+):?(%d*):?([hs]?)$'

-- Of equal totals the one reached earlier comes first (see ties.py) in descending order, so its member must be the
-- greater one: the distance of the reached revision from 2^53-1, in a fixed width, before the user id. As an integer
-- of 64 bits it is written at a third of what a float costs; awards spend a tenth of their time on that.
local function member_of(user, reached)
    return string.format('%016d%s', 9007199254740991 - reached, user)
end

-- Counts who is ranked above a total that was reached at a revision.
local function count_better(ranks, total, reached)
    local first = redis.call('ZCOUNT', KEYS[ranks], '(' .. total, '+inf')
    local last = redis.call('ZCOUNT', KEYS[ranks], total, '+inf')
    while first < last do
        local middle = math.floor((first + last) / 2)
        local member = redis.call('ZREVRANGE', KEYS[ranks], middle, middle)[1]
        if 9007199254740991 - string.sub(member, 1, 16) < tonumber(reached) then
            first = middle + 1
        else
            last = middle
        end
    end
    return first
end

-- Gives the 0-based rank of a standing as its user is told it: nil for one who is hidden or has no points, and what
-- it would be for one who is shadowed.
local function rank_of(ranks, user, total, reached, flag)
    if total == '0' or flag == 'h' then
        return nil
    elseif flag == 's' then
        return count_better(ranks, total, reached)
    end
    return redis.call('ZREVRANK', KEYS[ranks], member_of(user, reached))
end

-- Gives a reply that says what a header says: a state, generation, revision, mark, members, ranked and periods.
local function describe(state, header)
    return {state, header[1], header[2], header[3], header[4], header[6] or header[4], header[5] or ''}
end

-- Reads the periods of a header: the members and the ranked of each by its id, and the ids in their order.
local function read_periods(text)
    local members, ranked, ids = {}, {}, {}
    for id, count, some in string.gmatch(text or '', '(%S+)=(%d+):?(%d*)') do
        members[id], ranked[id], ids[#ids + 1] = tonumber(count), tonumber(some) or tonumber(count), id
    end
    return members, ranked, ids
end

-- Reads the header of a board whose keys are whole and of the generation that the caller knows: generation,
-- revision, mark, members, periods, ranked; the ranked at each index, those of all time first; and the members. The
-- ids of the periods in KEYS are given with spaces between; one that the board does not have has 0. Otherwise gives
-- nil and what to reply: {'missing'}, or what the header says, as 'elsewhere' (the generation is another one) or 'broken'
-- (Redis has lost a key).
local function read_header(generation, periods)
    local header = redis.call('HMGET', KEYS[1], 'generation', 'revision', 'mark', 'members', 'periods', 'ranked')
    if not header[1] then
        return nil, {'missing'}
    elseif header[1] ~= generation then
        return nil, describe('elsewhere', header)
    end
    local members, ranked = {tonumber(header[4])}, {tonumber(header[6] or header[4])}
    if periods ~= '' then
        local held, shown = read_periods(header[5])
        for period in string.gmatch(periods, '%S+') do
            members[#members + 1], ranked[#ranked + 1] = held[period] or 0, shown[period] or 0
        end
    end
    for i, count in ipairs(members) do
        if redis.call('ZCARD', KEYS[2 * i]) ~= ranked[i] or redis.call('HLEN', KEYS[2 * i + 1]) ~= count then
            return nil, describe('broken', header)
        end
    end
    return header, ranked, members
end

-- Sets some standings. `saids` has what follows the total in the lines; `flags`, if given, those of users in whose
-- lines there is none. Puts the member of each user who is ranked then into `members`, and of each other one false,
-- and into `unranked` {total, reached revision, flag}. Gives how many members there are more, and how many ranked.
local function set_some(index, users, totals, saids, flags, members, unranked, first, last, kind)
    local removed, ranked, totalled, n, m = {}, {}, {}, 0, 0
    local formers = kind == 'new' and {} or redis.call('HMGET', KEYS[3 + 2 * index], unpack(users, first, last))
    for i = first, last do
        local user, total, said, former = users[i], totals[i], saids[i], formers[i - first + 1]
        local reached = tonumber(said)
        local was = former and tonumber(string.sub(former, string.find(former, ':', 1, true) + 1))
        if reached and (was or not former) and not (flags and flags[i - first + 1] ~= '') then
            -- Most are like this: an award to a visible user, after nothing but awards.
            local member = member_of(user, reached)
            members[i] = member
            if not was or was < reached then
                if was then
                    removed[#removed + 1] = member_of(user, was)
                end
                ranked[m + 1], ranked[m + 2], m = total, member, m + 2
                totalled[n + 1], totalled[n + 2], n = user, total .. ':' .. said, n + 2
            end
        else
            local old_total, old_reached, old_version, old_flag = '0', '0', '-1', ''
            if former then
                old_total, old_reached, old_version, old_flag = string.match(former, STANDING)
                old_version = old_version == '' and old_reached or old_version
            end
            local version, flag
            reached, version, flag = string.match(said, '^(%d+) ?(%d*) ?([vhs]?)$')
            version = version == '' and reached or version
            if tonumber(old_version) >= tonumber(version) then
                total, reached, flag = old_total, old_reached, old_flag
            else
                if flag == 'v' or kind ~= '' then
                    flag = flag == 'v' and '' or flag
                elseif flag == '' then
                    flag = index == 0 and old_flag or flags and flags[i - first + 1] or ''
                end
                if old_total ~= '0' and old_flag == '' then
                    removed[#removed + 1] = member_of(user, old_reached)
                end
                if total ~= '0' and flag == '' then
                    ranked[m + 1], ranked[m + 2], m = total, member_of(user, reached), m + 2
                end
                local suffix = flag ~= '' and ':' .. version .. ':' .. flag or version ~= reached and ':' .. version
                totalled[n + 1], totalled[n + 2], n = user, total .. ':' .. reached .. (suffix or ''), n + 2
            end
            members[i] = total ~= '0' and flag == '' and member_of(user, reached)
            unranked[i] = {total, reached, flag}
        end
    end
    local more_members, more_ranked = 0, 0
    if removed[1] then
        more_ranked = -redis.call('ZREM', KEYS[2 + 2 * index], unpack(removed))
    end
    if m > 0 then
        more_ranked = more_ranked + redis.call('ZADD', KEYS[2 + 2 * index], unpack(ranked))
    end
    if n > 0 then
        more_members = redis.call('HSET', KEYS[3 + 2 * index], unpack(totalled))
    end
    return more_members, more_ranked
end

-- Sets the standings in lines of 'user total reached[ version[ flag]]' at an index, but none whose version is not newer
-- than what is there; without a version it is the reached revision. So in whatever order, and however often, they are
-- set, the newest remains. The flag is v, h or s; without one a user stays what the totals of all time say, so these
-- are set before those of periods.
--
-- `kind` is 'page' where the lines say all that there is of their users, so that those without a flag are visible,
-- and 'new' where none of these is there besides, which spares the look; otherwise it is empty. `is_flagged` tells
-- whether anybody of all time may have a flag. Gives the users, what became of them, and how many there are more: see
-- `set_some`.
local function set_standings(index, lines, kind, is_flagged)
    local users, totals, saids, members, unranked, count = {}, {}, {}, {}, {}, 0
    local more_members, more_ranked = 0, 0
    for user, total, said in string.gmatch(lines, '([^ ]+) ([^ ]+) ([^\n]+)\n?') do
        count = count + 1
        users[count], totals[count], saids[count] = user, total, said
    end
    -- A call may have some thousand arguments: what Lua can unpack is limited.
    for first = 1, count, 1000 do
        local last = math.min(first + 999, count)
        local flags
        if is_flagged and index > 0 and kind == '' then
            flags = redis.call('HMGET', KEYS[3], unpack(users, first, last))
            for i, standing in ipairs(flags) do
                flags[i] = standing and string.match(standing, ':([hs])$') or ''
            end
        end
        local more, shown = set_some(index, users, totals, saids, flags, members, unranked, first, last, kind)
        more_members, more_ranked = more_members + more, more_ranked + shown
    end
    return users, members, unranked, more_members, more_ranked
end
