-- Takes departures that have something left to be done. No other process takes them for a while.
UPDATE gateway.departure
SET next_try_at = now() + %(pause)s::interval
WHERE user_id IN (
    SELECT user_id
    FROM gateway.departure
    WHERE next_try_at <= now()
    ORDER BY next_try_at
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
RETURNING user_id, hides, departed_at <= now() - %(settled_after)s::interval AS settled
