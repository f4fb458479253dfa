-- How many standings there are after a user in the order of user ids, up to a limit, which is the last of them,
-- and where the ledger stands in the same snapshot. A period that is final has none.
SELECT b.revision, b.digest, p.members, p.last_user_id
FROM score.board b
CROSS JOIN LATERAL (
    SELECT count(*) AS members, max(user_id) AS last_user_id
    FROM (
        SELECT user_id FROM score.standing
        WHERE board_id = b.board_id AND period = %(period_id)s AND user_id > %(after_user_id)s
          AND (%(period_id)s = 'all_time' OR EXISTS (
              SELECT FROM score.period
              WHERE board_id = %(board_id)s AND period_id = %(period_id)s AND entry_revision IS NULL))
        ORDER BY user_id LIMIT %(limit)s
    ) page
) p
WHERE b.board_id = %(board_id)s
