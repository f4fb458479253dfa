-- Lists what there is to suspect, of all accounts or of one, the newest first.
SELECT user_id, username, signal, first_at, last_at, count
FROM gateway.suspicion
JOIN gateway.account USING (user_id)
WHERE %(user_id)s::text IS NULL OR user_id = %(user_id)s
ORDER BY last_at DESC, user_id, signal
LIMIT %(limit)s
