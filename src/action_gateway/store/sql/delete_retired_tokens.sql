-- Forgets refresh tokens that were good so long ago that they would have expired, a batch at a time.
DELETE FROM gateway.retired_token
WHERE token_hash IN (
    SELECT token_hash
    FROM gateway.retired_token
    WHERE retired_at < %(before)s
    LIMIT %(limit)s
)
