-- Gets the right answers of an edition of an action, also of one that is not offered any more.
SELECT answers, number
FROM gateway.action
WHERE action_id = %(action_id)s AND version = %(version)s
