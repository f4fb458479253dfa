-- Deletes what was under way while the account was deleted, and keeps of the departure the id alone.
WITH attempts AS (
    DELETE FROM gateway.action_token
    WHERE user_id = %(user_id)s
), suspicions AS (
    DELETE FROM gateway.suspicion
    WHERE user_id = %(user_id)s
)
UPDATE gateway.departure
SET departed_at = NULL, next_try_at = NULL
WHERE user_id = %(user_id)s
