#!lua flags=no-writes
-- Tells where a board stands, and whether its keys are whole.
--
-- KEYS  header, ranks, totals
-- ARGV  generation
-- Gives {'missing'}, or 'read', 'elsewhere' (the generation is another one, its keys were not looked at) or
--       'broken' (Redis has lost a key) with generation, revision, mark, members.
local header, reply = read_header(ARGV[1])
return reply or {'read', header[1], header[2], header[3], header[4]}
