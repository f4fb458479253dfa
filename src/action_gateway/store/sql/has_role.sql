-- Tells whether an account has a role.
SELECT EXISTS (SELECT FROM gateway.role WHERE user_id = %(user_id)s AND role = %(role)s) AS granted
