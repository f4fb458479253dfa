-- Gives the account of a name a role, and tells whose it is, also where it had the role.
WITH account AS (
    SELECT user_id
    FROM gateway.account
    WHERE lower(username COLLATE "C") = lower(%(username)s COLLATE "C")
), granted AS (
    INSERT INTO gateway.role (user_id, role)
    SELECT user_id, %(role)s
    FROM account
    ON CONFLICT DO NOTHING
)
SELECT user_id
FROM account
