-- Puts the successor in the place of a session's good token; of several at once, one finds the token good.
WITH rotated AS (
    UPDATE gateway.session
    SET token_hash = %(successor_hash)s, expires_at = %(expires_at)s,
        predecessor_hash = %(token_hash)s, successor_salt = %(successor_salt)s,
        rotation_key_hash = %(key_hash)s, rotated_at = %(now)s
    WHERE token_hash = %(token_hash)s AND expires_at > %(now)s
    RETURNING session_id, user_id
), retired AS (
    INSERT INTO gateway.retired_token (token_hash, session_id, retired_at)
    SELECT %(token_hash)s, session_id, %(now)s
    FROM rotated
)
SELECT user_id, username
FROM rotated
JOIN gateway.account USING (user_id)
