-- Lists the sessions of a user that can be continued, the one that lasts longest first.
SELECT expires_at, rotated_at AS renewed_at
FROM gateway.session
WHERE user_id = %(user_id)s AND expires_at > %(now)s
ORDER BY expires_at DESC
LIMIT %(limit)s
