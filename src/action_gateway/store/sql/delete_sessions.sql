-- Forgets sessions that nobody can continue, a batch at a time.
DELETE FROM gateway.session
WHERE session_id IN (
    SELECT session_id
    FROM gateway.session
    WHERE expires_at < %(before)s
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
