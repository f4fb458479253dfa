#!lua
-- Puts a generation that was loaded in the place of the one a board has.
--
-- KEYS  header; ranks and totals of all time, and of each period that the board has from now on; ranks and totals
--       of the generation before, of all time and of each period that it has; progress; and which generation is
--       being made
-- ARGV  generation; the periods that the board has from now on, as in the header; revision, mark, number of members
--       and number of the ranked; number of steps that were made; the generation in the header as it was seen, empty
--       if there was no header; ids of the periods that this one has
-- Gives 'switched', also if this was done before,
--       'moved' if the header is not of the generation that was seen,
--       'behind' if the header is further than this generation was brought, or has a period that is not given,
--       'lost' if what was loaded is not there any more.
--
-- Within its generation the header may have moved: it went along the same ledger.
local header = redis.call('HMGET', KEYS[1], 'generation', 'revision', 'periods', 'ranked')
if header[1] == ARGV[1] then
    return 'switched'
elseif (header[1] or '') ~= ARGV[8] then
    return 'moved'
elseif header[1] and tonumber(header[2]) > tonumber(ARGV[3]) then
    return 'behind'
end
local _, _, formers = read_periods(header[3])
for _, id in ipairs(formers) do
    if not string.find(' ' .. ARGV[9] .. ' ', ' ' .. id .. ' ', 1, true) then
        return 'behind'
    end
end

local held, shown, ids = read_periods(ARGV[2])
local function has_lost(index, members, ranked)
    return redis.call('HLEN', KEYS[3 + 2 * index]) ~= members or redis.call('ZCARD', KEYS[2 + 2 * index]) ~= ranked
end
local is_lost = (redis.call('HGET', KEYS[#KEYS - 1], 'steps') or '0') ~= ARGV[7]
    or has_lost(0, tonumber(ARGV[5]), tonumber(ARGV[6]))
for index, id in ipairs(ids) do
    is_lost = is_lost or has_lost(index, held[id], shown[id])
end
if is_lost then
    return 'lost'
end

redis.call('HSET', KEYS[1], 'generation', ARGV[1], 'revision', ARGV[3], 'mark', ARGV[4], 'members', ARGV[5],
    'periods', ARGV[2])
if ARGV[6] ~= ARGV[5] or header[4] then
    redis.call('HSET', KEYS[1], 'ranked', ARGV[6])
end
for i = 2, 3 + 2 * #ids do
    redis.call('PERSIST', KEYS[i])
end
for i = 4 + 2 * #ids, #KEYS do
    redis.call('UNLINK', KEYS[i])
end
return 'switched'
