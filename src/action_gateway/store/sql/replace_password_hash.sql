-- Puts a hash of the same password, made with today's parameters, in the place of the one that was read.
UPDATE gateway.account
SET password_hash = %(password_hash)s
WHERE user_id = %(user_id)s AND password_hash = %(outdated_hash)s
