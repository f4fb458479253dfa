-- Standings after a user in the order of user ids, up to a limit, as one text, and where the ledger stands in the
-- same snapshot. One text, because rows of their own would cost a reader more than the database. In it they
-- stand in the order of totals: Redis takes neighbours of a sorted set in a third less time. A period that is final
-- has none.
SELECT b.revision, b.digest, p.members, p.last_user_id, p.lines
FROM score.board b
CROSS JOIN LATERAL (
    SELECT count(*) AS members, max(user_id) AS last_user_id,
           string_agg(user_id || ' ' || total || ' ' || reached_revision, E'\n'
                      ORDER BY total, reached_revision DESC) AS lines
    FROM (
        SELECT user_id, total, reached_revision FROM score.standing
        WHERE board_id = b.board_id AND period = %(period_id)s AND user_id > %(after_user_id)s
          AND (%(period_id)s = 'all_time' OR EXISTS (
              SELECT FROM score.period
              WHERE board_id = %(board_id)s AND period_id = %(period_id)s AND entry_revision IS NULL))
        ORDER BY user_id LIMIT %(limit)s
    ) page
) p
WHERE b.board_id = %(board_id)s
