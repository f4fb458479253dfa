#!lua flags=no-writes
-- Compares standings of the record with a board, and the two keys that have them with each other.
--
-- KEYS  header, ranks and totals of all time, and ranks and totals of the period that is compared, if one is
-- ARGV  generation; id of the period, empty to compare all time; the revision at which the record was read;
--       lines of 'user total reached'
-- Gives {'missing'}, what the header says (see `describe`) as 'elsewhere' or 'broken', or
--       {'read', generation, revision, mark, members, unready, differing}: the number of users that the board
--       cannot know yet, and the users that differ.
--
-- Neither side waits for the other, so a user may have moved on in one of them. What the board holds must be
-- what was read, unless the board has not come so far yet, or was moved on after the reading.
local header, found = read_header(ARGV[1], ARGV[2])
if not header then
    return found
end
local here, there = tonumber(header[2]), tonumber(ARGV[3])
local place = (#KEYS - 3) / 2

-- Gives the revision of what the board holds; nil if its two keys do not say the same.
local function held_revision(user, held)
    local total, reached = string.match(held, '^(%d+):(%d+)$')
    local score = reached and redis.call('ZSCORE', KEYS[2 + 2 * place], member_of(user, reached))
    if score and tonumber(score) == tonumber(total) and tonumber(reached) <= here then
        return tonumber(reached)
    end
    return nil
end

local unready, differing = 0, {}
for user, total, reached in string.gmatch(ARGV[4], '(%S+) (%d+) (%d+)') do
    local held = redis.call('HGET', KEYS[3 + 2 * place], user)
    local revision = held and held_revision(user, held)
    if held and not revision then
        differing[#differing + 1] = user
    elseif tonumber(reached) > here then
        unready = unready + 1
    elseif held ~= total .. ':' .. reached and not (revision and revision > there) then
        differing[#differing + 1] = user
    end
end
return {'read', header[1], header[2], header[3], found[1 + place], unready, differing}
