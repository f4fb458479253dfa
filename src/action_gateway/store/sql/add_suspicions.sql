-- Adds what there is to suspect of accounts to what there was, one row for each account and signal. The order keeps two
-- statements that meet from waiting for each other.
INSERT INTO gateway.suspicion AS known (user_id, signal, first_at, last_at, count)
SELECT user_id, signal, first_at, last_at, count
FROM unnest(
    %(user_ids)s::text[], %(signals)s::text[], %(firsts)s::timestamptz[], %(lasts)s::timestamptz[], %(counts)s::bigint[]
) AS noted (user_id, signal, first_at, last_at, count)
WHERE EXISTS (SELECT FROM gateway.account WHERE account.user_id = noted.user_id)
ORDER BY user_id, signal
ON CONFLICT (user_id, signal) DO UPDATE
SET first_at = least(known.first_at, excluded.first_at),
    last_at = greatest(known.last_at, excluded.last_at),
    count = known.count + excluded.count
