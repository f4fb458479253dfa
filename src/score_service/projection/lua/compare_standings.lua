#!lua flags=no-writes
-- Compares standings of the record with a board, and the two keys that have them with each other.
--
-- KEYS  header, ranks and totals of all time, and ranks and totals of the period that is compared, if one is
-- ARGV  generation; id of the period, empty to compare all time; the revision at which the record was read;
--       lines of 'user total reached[ version[ flag]]', which say all that there is of their users
-- Gives {'missing'}, what the header says (see `describe`) as 'elsewhere' or 'broken', or
--       {'read', generation, revision, mark, members, ranked, unready, differing}: the number of users that the
--       board cannot know yet, and the users that differ.
--
-- Neither side waits for the other, so a user may have moved on in one of them. What the board holds must be
-- what was read, unless the board has not come so far yet, or was moved on after the reading.
local header, ranked, members = read_header(ARGV[1], ARGV[2])
if not header then
    return ranked
end
local here, there = tonumber(header[2]), tonumber(ARGV[3])
local index = (#KEYS - 3) / 2

-- Gives the version of what the board holds; nil if its two keys do not say the same.
local function held_version(user, held)
    local total, reached, version, flag = string.match(held, STANDING)
    version = tonumber(version == '' and reached or version)
    if not version or version > here then
        return nil
    end
    local score = redis.call('ZSCORE', KEYS[2 + 2 * index], member_of(user, reached))
    local expected = total ~= '0' and flag == '' and tonumber(total)
    return (score and tonumber(score)) == expected and version or nil
end

-- Writes what must be there, see `set_some`.
local function expect(total, reached, version, flag)
    if flag ~= '' then
        return table.concat({total, reached, version, flag}, ':')
    end
    return total .. ':' .. reached .. (version == reached and '' or ':' .. version)
end

local unready, differing = 0, {}
for user, total, reached, version, flag in string.gmatch(ARGV[4], '(%S+) (%d+) (%d+) ?(%d*) ?([vhs]?)') do
    version, flag = version == '' and reached or version, flag == 'v' and '' or flag
    local held = redis.call('HGET', KEYS[3 + 2 * index], user)
    local mine = held and held_version(user, held)
    if held and not mine then
        differing[#differing + 1] = user
    elseif tonumber(version) > here then
        unready = unready + 1
    elseif held ~= expect(total, reached, version, flag) and not (mine and mine > there) then
        differing[#differing + 1] = user
    end
end
return {'read', header[1], header[2], header[3], members[1 + index], ranked[1 + index], unready, differing}
