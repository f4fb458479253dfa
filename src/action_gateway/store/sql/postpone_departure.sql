-- Puts a departure off until nothing that the user had begun can still be under way.
UPDATE gateway.departure
SET next_try_at = departed_at + %(settled_after)s::interval
WHERE user_id = %(user_id)s AND next_try_at IS NOT NULL
