-- Reads all that there is of a board, as it lies there.
--
-- KEYS  what the names of the board's keys begin with
-- Gives {generation, revision, mark} or an empty list; of all time and of each period that the header names its
--       id, how many users the header says there are, how many of them ranked, the members with their scores, best first, and the totals as user
--       and text; and the keys that the header does not name and that do not expire.
--
-- The writer of the board is not asked which keys there are, so all of the server's are looked at: this is for
-- small servers that serve nobody else.
local function text(value)
    return value or ''
end

local header, known, periods, strays = {}, {[KEYS[1] .. ':header'] = true}, {}, {}

local function read_period(period, members, ranked)
    local name = KEYS[1] .. ':' .. header[1] .. ':' .. period
    local ranks = redis.call('ZREVRANGE', name .. ':ranks', 0, -1, 'WITHSCORES')
    periods[#periods + 1] = {period, text(members), text(ranked), ranks, redis.call('HGETALL', name .. ':totals')}
    known[name .. ':ranks'], known[name .. ':totals'] = true, true
end

if redis.call('EXISTS', KEYS[1] .. ':header') == 1 then
    local fields = redis.call('HMGET', KEYS[1] .. ':header', 'generation', 'revision', 'mark', 'members', 'periods',
        'ranked')
    header = {text(fields[1]), text(fields[2]), text(fields[3])}
    read_period('all_time', fields[4], fields[6])
    for period, members, ranked in string.gmatch(text(fields[5]), '(%S+)=(%d+):?(%d*)') do
        read_period(period, members, ranked)
    end
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
return {header, periods, strays}
