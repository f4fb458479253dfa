-- Makes an account. The index on names rejects one that is taken.
INSERT INTO gateway.account (user_id, username, password_hash)
VALUES (%(user_id)s, %(username)s, %(password_hash)s)
