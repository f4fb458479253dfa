-- Forgets names that can be taken again, a batch at a time.
DELETE FROM gateway.freed_name
WHERE name_hash IN (
    SELECT name_hash
    FROM gateway.freed_name
    WHERE free_at < %(before)s
    LIMIT %(limit)s
    FOR UPDATE SKIP LOCKED
)
