#!lua flags=no-writes
-- Answers questions about a board, all of them at one position.
--
-- KEYS  header, and ranks and totals: of all time, and of each period that is asked about
-- ARGV  generation; ids of these periods; and then of each question its kind, the index that it is about, the
--       number of its arguments, and these:
--       'standings'   number of standings from the top, then user ids
--       'page'        size, and either nothing more or the total and reached revision that the page before ended with
--       'neighbours'  user id, radius
-- Gives {'missing'}, or what the header says (see `describe`) as 'elsewhere' or 'broken', or
--       {'read', generation, revision, mark, answers, members}: an answer to each question, in order, and the
--       number of ranked users at each index. The answers:
--       'standings'   {top, users}: top is a flat list of member and score; users is a flat list of what is in totals
--                     and 0-based rank, empty for one who is hidden; or two empty strings for a user without points
--       'page'        {0-based rank of the first, flat list of member and score}
--       'neighbours'  the same, and what is in totals of the user and its 0-based rank, if the user is not in the list
--                     because it is shadowed; the list is empty if the user has no points or is hidden
local header, ranked = read_header(ARGV[1], ARGV[2])
if not header then
    return ranked
end

local answers = {}

-- Reads the totals of a user without the version, and of most users without a pattern.
local function read_for_user(standing)
    local at = string.find(standing, ':', 1, true)
    local reached = string.sub(standing, at + 1)
    if tonumber(reached) then
        return string.sub(standing, 1, at - 1), reached, ''
    end
    local total, first, _, flag = string.match(standing, STANDING)
    return total, first, flag
end

function answers.standings(ranks, first, last)
    local top, users = {}, {}
    if ARGV[first] ~= '0' then
        top = redis.call('ZREVRANGE', KEYS[ranks], 0, tonumber(ARGV[first]) - 1, 'WITHSCORES')
    end
    for i = first + 1, last do
        local standing = redis.call('HGET', KEYS[ranks + 1], ARGV[i])
        local total, reached, flag
        if standing then
            total, reached, flag = read_for_user(standing)
        end
        if not standing or total == '0' then
            users[#users + 1] = ''
            users[#users + 1] = ''
        else
            local rank = rank_of(ranks, ARGV[i], total, reached, flag)
            users[#users + 1] = standing
            users[#users + 1] = rank and string.format('%.0f', rank) or ''
        end
    end
    return {top, users}
end

-- A page starts after the last user of the previous one, also if that user has moved meanwhile, so that no user is left out.
function answers.page(ranks, first, last)
    local start = last > first and count_better(ranks, ARGV[first + 1], ARGV[first + 2] + 1) or 0
    local page = redis.call('ZREVRANGE', KEYS[ranks], start, start + tonumber(ARGV[first]) - 1, 'WITHSCORES')
    return {string.format('%.0f', start), page}
end

function answers.neighbours(ranks, first)
    local user, radius = ARGV[first], tonumber(ARGV[first + 1])
    local standing = redis.call('HGET', KEYS[ranks + 1], user)
    if not standing then
        return {'0', {}}
    end
    local total, reached, flag = read_for_user(standing)
    local rank = rank_of(ranks, user, total, reached, flag)
    if not rank then
        return {'0', {}}
    end
    local start, stop = math.max(0, rank - radius), rank + radius
    if flag == '' then
        local page = redis.call('ZREVRANGE', KEYS[ranks], start, stop, 'WITHSCORES')
        return {string.format('%.0f', start), page}
    end
    local page = stop > 0 and redis.call('ZREVRANGE', KEYS[ranks], start, stop - 1, 'WITHSCORES') or {}
    return {string.format('%.0f', start), page, standing, string.format('%.0f', rank)}
end

local given, at = {}, 3
while ARGV[at] do
    local first = at + 3
    local last = at + 2 + tonumber(ARGV[at + 2])
    given[#given + 1] = answers[ARGV[at]](2 + 2 * tonumber(ARGV[at + 1]), first, last)
    at = last + 1
end
return {'read', header[1], header[2], header[3], given, ranked}
