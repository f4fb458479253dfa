-- Tells whether this was the id of an account.
SELECT EXISTS (SELECT FROM gateway.departure WHERE user_id = %(user_id)s) AS departed
