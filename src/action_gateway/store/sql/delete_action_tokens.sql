-- Forgets the attempts with action tokens that expired long ago, a batch at a time.
DELETE FROM gateway.action_token
WHERE nonce IN (
    SELECT nonce
    FROM gateway.action_token
    WHERE expires_at < %(before)s
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
