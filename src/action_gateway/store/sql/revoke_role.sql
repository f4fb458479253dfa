-- Takes a role from the account of a name, and tells whose it is, also where it did not have the role.
WITH account AS (
    SELECT user_id
    FROM gateway.account
    WHERE lower(username COLLATE "C") = lower(%(username)s COLLATE "C")
), revoked AS (
    DELETE FROM gateway.role
    WHERE user_id IN (SELECT user_id FROM account) AND role = %(role)s
)
SELECT user_id
FROM account
