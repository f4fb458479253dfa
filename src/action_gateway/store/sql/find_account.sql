-- Finds an account by its name, whatever the letter case.
SELECT user_id, username, password_hash
FROM gateway.account
WHERE lower(username COLLATE "C") = lower(%(username)s COLLATE "C")
