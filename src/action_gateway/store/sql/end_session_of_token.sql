-- Ends the session that a refresh token is or was good for.
DELETE FROM gateway.session
WHERE token_hash = %(token_hash)s
   OR session_id = (SELECT session_id FROM gateway.retired_token WHERE token_hash = %(token_hash)s)
