-- Forgets suspicions of which nothing has happened for long, a batch at a time.
DELETE FROM gateway.suspicion
WHERE (user_id, signal) IN (
    SELECT user_id, signal
    FROM gateway.suspicion
    WHERE last_at < %(before)s
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
