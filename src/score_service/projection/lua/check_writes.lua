#!lua
-- Is rejected where scripts that write to a board are, and changes nothing.
--
-- KEYS  one that is never there
-- Gives nothing.
redis.call('ZADD', KEYS[1], 'XX', 0, '')
