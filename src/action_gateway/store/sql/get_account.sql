-- Gets an account with its roles.
SELECT user_id, username, password_hash, created_at,
       ARRAY(SELECT role FROM gateway.role WHERE role.user_id = account.user_id ORDER BY role) AS roles
FROM gateway.account
WHERE user_id = %(user_id)s
