-- Ends a session. Its tokens, also one that a rotation is just making, go with it.
DELETE FROM gateway.session
WHERE session_id = %(session_id)s
