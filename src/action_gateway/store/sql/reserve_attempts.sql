-- Counts an attempt with an action token and notes whether it was right, if the token has an attempt left.
-- A token that was answered rightly always has: its points may still have to be asked for.
INSERT INTO gateway.action_token AS token (nonce, attempts, solved_by, expires_at)
VALUES (%(nonce)s, 1, CASE WHEN %(right)s THEN 1 END, %(expires_at)s)
ON CONFLICT (nonce) DO UPDATE
SET attempts = token.attempts + 1,
    solved_by = coalesce(token.solved_by, CASE WHEN %(right)s THEN token.attempts + 1 END)
WHERE token.attempts < %(allowed)s OR token.solved_by IS NOT NULL
RETURNING attempts, solved_by
