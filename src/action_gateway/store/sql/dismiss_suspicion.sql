-- Forgets a suspicion, unless there is more of it since it was looked at.
DELETE FROM gateway.suspicion
WHERE user_id = %(user_id)s AND signal = %(signal)s AND last_at <= %(last_at)s
