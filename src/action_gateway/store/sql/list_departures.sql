-- Lists who has left after a time, in the order in which they did.
SELECT user_id, departed_at
FROM gateway.departure
WHERE (departed_at, user_id) > (%(after)s::timestamptz, %(after_user_id)s::text)
ORDER BY departed_at, user_id
LIMIT %(limit)s
