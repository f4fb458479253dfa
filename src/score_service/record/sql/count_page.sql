-- How many standings there are after a user in the order of user ids, up to a limit, which is the last of them,
-- and where the ledger stands in the same snapshot.
SELECT b.revision, b.digest, p.members, p.last_user_id
FROM score.board b
CROSS JOIN LATERAL (
    SELECT count(*) AS members, max(user_id) AS last_user_id
    FROM (
        SELECT user_id FROM score.standing
        WHERE board_id = b.board_id AND period = 'all_time' AND user_id > %(after_user_id)s
        ORDER BY user_id LIMIT %(limit)s
    ) page
) p
WHERE b.board_id = %(board_id)s
