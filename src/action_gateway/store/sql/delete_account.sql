-- Deletes an account with all that belongs to it, and leaves what has to be done still. Sessions with their tokens, and
-- roles, go by their foreign keys.
WITH gone AS (
    DELETE FROM gateway.account
    WHERE user_id = %(user_id)s
    RETURNING user_id
), attempts AS (
    DELETE FROM gateway.action_token
    WHERE user_id IN (SELECT user_id FROM gone)
), suspicions AS (
    DELETE FROM gateway.suspicion
    WHERE user_id IN (SELECT user_id FROM gone)
), freed AS (
    INSERT INTO gateway.freed_name (name_hash, free_at)
    SELECT %(name_hash)s::bytea, %(free_at)s
    FROM gone
    WHERE %(name_hash)s::bytea IS NOT NULL
    ON CONFLICT (name_hash) DO UPDATE
    SET free_at = greatest(freed_name.free_at, excluded.free_at)
)
INSERT INTO gateway.departure (user_id, hides, departed_at, next_try_at)
SELECT user_id, %(hides)s, now(), CASE WHEN %(hides)s THEN now() ELSE now() + %(settled_after)s::interval END
FROM gone
