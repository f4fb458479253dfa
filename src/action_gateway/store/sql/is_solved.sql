-- Tells whether an action token was answered rightly.
SELECT solved_by IS NOT NULL AS solved
FROM gateway.action_token
WHERE nonce = %(nonce)s
