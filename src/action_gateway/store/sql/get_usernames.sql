-- Names the users of these ids that have an account, and tells which of them had one: those have no name.
SELECT user_id, username
FROM gateway.account
WHERE user_id = ANY(%(user_ids)s)
UNION ALL
SELECT user_id, NULL
FROM gateway.departure
WHERE user_id = ANY(%(user_ids)s)
