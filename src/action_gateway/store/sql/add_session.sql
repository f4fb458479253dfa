-- Begins a session with its first refresh token. The foreign key rejects it where the account is gone.
INSERT INTO gateway.session (session_id, user_id, token_hash, expires_at)
VALUES (%(session_id)s, %(user_id)s, %(token_hash)s, %(expires_at)s)
