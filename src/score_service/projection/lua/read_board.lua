#!lua flags=no-writes
-- Answers questions about a board, all of them at one position.
--
-- KEYS  header, ranks, totals
-- ARGV  generation, and then of each question its kind, the number of its arguments, and these:
--       'standings'   number of standings from the top, then user ids
--       'page'        size, and either nothing more or the score and member that the page before ended with
--       'neighbours'  user id, radius
-- Gives {'missing'}, {'elsewhere' or 'broken', generation, revision, mark, members}, or
--       {'read', generation, revision, mark, answers}, one to each question, in order:
--       'standings'   {top, users}: top is a flat list of member and score; users is a flat list of
--                     'total:reached' and 0-based rank, or two empty strings for an unknown user
--       'page' and 'neighbours'  {0-based rank of the first, flat list of member and score};
--                     the list of neighbours is empty if the board does not have the user
local header, reply = read_header(ARGV[1])
if not header then
    return reply
end

local answers = {}

function answers.standings(first, last)
    local top, users = {}, {}
    if ARGV[first] ~= '0' then
        top = redis.call('ZREVRANGE', KEYS[2], 0, tonumber(ARGV[first]) - 1, 'WITHSCORES')
    end
    for i = first + 1, last do
        local standing = redis.call('HGET', KEYS[3], ARGV[i])
        if standing then
            users[#users + 1] = standing
            local rank = redis.call('ZREVRANK', KEYS[2], member_of(ARGV[i], reached_in(standing)))
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
function answers.page(first, last)
    local score, member, start = ARGV[first + 1], ARGV[first + 2], 0
    if last > first then
        local rank = redis.call('ZREVRANK', KEYS[2], member)
        if rank and redis.call('ZSCORE', KEYS[2], member) == score then
            start = rank + 1
        else
            start = redis.call('ZCOUNT', KEYS[2], '(' .. score, '+inf')
        end
    end
    local page = redis.call('ZREVRANGE', KEYS[2], start, start + tonumber(ARGV[first]) - 1, 'WITHSCORES')
    return {string.format('%.0f', start), page}
end

function answers.neighbours(first)
    local standing = redis.call('HGET', KEYS[3], ARGV[first])
    if not standing then
        return {'0', {}}
    end
    local rank = redis.call('ZREVRANK', KEYS[2], member_of(ARGV[first], reached_in(standing)))
    local start = math.max(0, rank - tonumber(ARGV[first + 1]))
    local page = redis.call('ZREVRANGE', KEYS[2], start, rank + tonumber(ARGV[first + 1]), 'WITHSCORES')
    return {string.format('%.0f', start), page}
end

local given, at = {}, 2
while ARGV[at] do
    local first = at + 2
    local last = at + 1 + tonumber(ARGV[at + 1])
    given[#given + 1] = answers[ARGV[at]](first, last)
    at = last + 1
end
return {'read', header[1], header[2], header[3], given}
