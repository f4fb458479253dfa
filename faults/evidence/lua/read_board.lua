-- Reads all that there is of a board, as it lies there.
--
-- KEYS  what the names of the board's keys begin with
-- Gives {generation, revision, mark, members} or an empty list; the members with their scores, best first; the
--       totals as user and text; and the keys of other generations that do not expire.
--
-- Whoever wrote the board is not asked which keys there are, so all of the server's are looked at: this is for
-- small servers that serve nobody else.
local function text(value)
    return value or ''
end

local header, ranks, totals, strays = {}, {}, {}, {}
if redis.call('EXISTS', KEYS[1] .. ':header') == 1 then
    local fields = redis.call('HMGET', KEYS[1] .. ':header', 'generation', 'revision', 'mark', 'members')
    header = {text(fields[1]), text(fields[2]), text(fields[3]), text(fields[4])}
end

local known = {[KEYS[1] .. ':header'] = true}
if header[1] then
    local period = KEYS[1] .. ':' .. header[1] .. ':all_time'
    ranks = redis.call('ZREVRANGE', period .. ':ranks', 0, -1, 'WITHSCORES')
    totals = redis.call('HGETALL', period .. ':totals')
    known[period .. ':ranks'], known[period .. ':totals'] = true, true
end

local cursor = '0'
repeat
    local found = redis.call('SCAN', cursor, 'COUNT', 1000)
    cursor = found[1]
    for _, key in ipairs(found[2]) do
        if string.sub(key, 1, #KEYS[1] + 1) == KEYS[1] .. ':' and not known[key]
            and redis.call('TTL', key) == -1 then
            strays[#strays + 1] = key
        end
    end
until cursor == '0'
return {header, ranks, totals, strays}
