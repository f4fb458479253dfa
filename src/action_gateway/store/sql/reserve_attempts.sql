-- Counts an attempt with each of some action tokens and notes whether it was right, if the token has an attempt left, and
-- its user has not left. A token that was answered rightly always has one: its points may still have to be asked for. The
-- order keeps two statements that meet from waiting for each other.
INSERT INTO gateway.action_token AS token (nonce, user_id, attempts, solved_by, expires_at)
SELECT nonce, user_id, 1, CASE WHEN accepted THEN 1 END, expires_at
FROM unnest(%(nonces)s::uuid[], %(user_ids)s::text[], %(rights)s::boolean[], %(expiries)s::timestamptz[])
    AS attempt (nonce, user_id, accepted, expires_at)
WHERE NOT EXISTS (SELECT FROM gateway.departure WHERE departure.user_id = attempt.user_id)
ORDER BY nonce
ON CONFLICT (nonce) DO UPDATE
SET attempts = token.attempts + 1,
    solved_by = coalesce(token.solved_by, token.attempts + excluded.solved_by)
WHERE token.attempts < %(allowed)s OR token.solved_by IS NOT NULL
RETURNING nonce, attempts, solved_by
