-- Tells whether somebody makes a generation of a board, and has loaded a step of it in the last seconds.
--
-- KEYS  which generation is being made
-- Gives 1 or 0.
return redis.call('EXISTS', KEYS[1])
