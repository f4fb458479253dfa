#!lua flags=no-writes
-- Answers questions about a board, all of them at one position.
--
-- KEYS  header, and ranks and totals: of all time, and of each period that is asked about
-- ARGV  generation; ids of these periods; and then of each question its kind, the place that it is about, the
--       number of its arguments, and these:
--       'standings'   number of standings from the top, then user ids
--       'page'        size, and either nothing more or the score and member that the page before ended with
--       'neighbours'  user id, radius
-- Gives {'missing'}, or what the header says (see `describe`) as 'elsewhere' or 'broken', or
--       {'read', generation, revision, mark, answers, members}: an answer to each question, in order, and the
--       number of members at each place. The answers:
--       'standings'   {top, users}: top is a flat list of member and score; users is a flat list of
--                     'total:reached' and 0-based rank, or two empty strings for an unknown user
--       'page' and 'neighbours'  {0-based rank of the first, flat list of member and score};
--                     the list of neighbours is empty if the board does not have the user
local header, found = read_header(ARGV[1], ARGV[2])
if not header then
    return found
end

local answers = {}

function answers.standings(ranks, first, last)
    local top, users = {}, {}
    if ARGV[first] ~= '0' then
        top = redis.call('ZREVRANGE', KEYS[ranks], 0, tonumber(ARGV[first]) - 1, 'WITHSCORES')
    end
    for i = first + 1, last do
        local standing = redis.call('HGET', KEYS[ranks + 1], ARGV[i])
        if standing then
            users[#users + 1] = standing
            local rank = redis.call('ZREVRANK', KEYS[ranks], member_of(ARGV[i], reached_in(standing)))
            users[#users + 1] = string.format('%.0f', rank)
        else
            users[#users + 1] = ''
            users[#users + 1] = ''
        end
    end
    return {top, users}
end

-- A member that has moved meanwhile stood before the page or stands before it now: the page starts at the
-- first entry below its score, or among its equals, so that nobody is left out.
function answers.page(ranks, first, last)
    local score, member, start = ARGV[first + 1], ARGV[first + 2], 0
    if last > first then
        local rank = redis.call('ZREVRANK', KEYS[ranks], member)
        if rank and redis.call('ZSCORE', KEYS[ranks], member) == score then
            start = rank + 1
        else
            start = redis.call('ZCOUNT', KEYS[ranks], '(' .. score, '+inf')
        end
    end
    local page = redis.call('ZREVRANGE', KEYS[ranks], start, start + tonumber(ARGV[first]) - 1, 'WITHSCORES')
    return {string.format('%.0f', start), page}
end

function answers.neighbours(ranks, first)
    local standing = redis.call('HGET', KEYS[ranks + 1], ARGV[first])
    if not standing then
        return {'0', {}}
    end
    local rank = redis.call('ZREVRANK', KEYS[ranks], member_of(ARGV[first], reached_in(standing)))
    local start = math.max(0, rank - tonumber(ARGV[first + 1]))
    local page = redis.call('ZREVRANGE', KEYS[ranks], start, rank + tonumber(ARGV[first + 1]), 'WITHSCORES')
    return {string.format('%.0f', start), page}
end

local given, at = {}, 3
while ARGV[at] do
    local first = at + 3
    local last = at + 2 + tonumber(ARGV[at + 2])
    given[#given + 1] = answers[ARGV[at]](2 + 2 * tonumber(ARGV[at + 1]), first, last)
    at = last + 1
end
return {'read', header[1], header[2], header[3], given, found}
