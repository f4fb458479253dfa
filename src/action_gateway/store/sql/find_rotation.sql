-- Finds the session that a refresh token was good for, and the session's last rotation.
SELECT session_id, user_id, username, predecessor_hash, successor_salt, rotation_key_hash, rotated_at,
       expires_at
FROM gateway.retired_token AS retired
JOIN gateway.session USING (session_id)
JOIN gateway.account USING (user_id)
WHERE retired.token_hash = %(token_hash)s
