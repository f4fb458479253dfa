#!lua flags=no-writes
-- Tells which periods a generation that is being made has.
--
-- KEYS  progress
-- Gives their ids, with spaces between; empty also where there is no such generation.
return redis.call('HGET', KEYS[1], 'periods') or ''
