#!lua flags=no-writes
-- Tells where a board stands, and whether its keys are whole.
--
-- KEYS  header, and ranks and totals: of all time, and of each period that the caller knows of
-- ARGV  generation; ids of these periods
-- Gives {'missing'}, or what the header says (see `describe`) as 'read', 'elsewhere' (the generation is another
--       one, or the board has a period that is not among these; its keys were not looked at) or 'broken' (Redis
--       has lost a key).
local header, reply = read_header(ARGV[1], ARGV[2])
if not header then
    return reply
end
local _, _, ids = read_periods(header[5])
for _, id in ipairs(ids) do
    if not string.find(' ' .. ARGV[2] .. ' ', ' ' .. id .. ' ', 1, true) then
        return describe('elsewhere', header)
    end
end
return describe('read', header)
