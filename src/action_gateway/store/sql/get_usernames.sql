-- Names the users of these ids that have an account.
SELECT user_id, username
FROM gateway.account
WHERE user_id = ANY(%(user_ids)s)
