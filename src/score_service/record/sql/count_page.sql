-- How many standings there are after a user in the order of user ids, up to a limit, which is the last of them, how many of
-- them are ranked, and where the ledger stands in the same snapshot. A period that is final has none.
SELECT b.revision, b.digest, p.members, p.ranked, p.last_user_id
FROM score.board b
CROSS JOIN LATERAL (
    SELECT count(*) AS members, count(*) FILTER (WHERE is_ranked) AS ranked, max(user_id) AS last_user_id
    FROM (
        SELECT s.user_id, s.total > 0 AND h.user_id IS NULL AS is_ranked
        FROM score.standing s
        LEFT JOIN score.hidden_user h ON h.board_id = %(board_id)s AND h.user_id = s.user_id
        WHERE s.board_id = %(board_id)s AND s.period = %(period_id)s AND s.user_id > %(after_user_id)s
          AND (%(period_id)s = 'all_time' OR EXISTS (
              SELECT FROM score.period
              WHERE board_id = %(board_id)s AND period_id = %(period_id)s AND entry_revision IS NULL))
        ORDER BY s.user_id LIMIT %(limit)s
    ) page
) p
WHERE b.board_id = %(board_id)s
