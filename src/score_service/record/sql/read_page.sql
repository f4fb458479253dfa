-- Standings after a user in the order of user ids, up to a limit, as one text, and where the ledger stands in the
-- same snapshot. One text, because rows of their own would cost a reader more than the database. In it they
-- stand in the order of totals: Redis takes neighbours of a sorted set in a third less time. They are those of
-- everybody, also of who is not ranked. A period that is final has none.
SELECT b.revision, b.digest, p.members, p.ranked, p.last_user_id, p.lines
FROM score.board b
CROSS JOIN LATERAL (
    SELECT count(*) AS members, count(*) FILTER (WHERE total > 0 AND visibility IS DISTINCT FROM 'hidden'
                                                 AND visibility IS DISTINCT FROM 'shadowed') AS ranked,
           max(user_id) AS last_user_id,
           string_agg(CASE
               WHEN visibility IS NOT NULL THEN user_id || ' ' || total || ' ' || reached_revision || ' '
                   || coalesce(changed_revision, reached_revision) || ' ' || left(visibility, 1)
               WHEN changed_revision IS NOT NULL THEN
                   user_id || ' ' || total || ' ' || reached_revision || ' ' || changed_revision
               ELSE user_id || ' ' || total || ' ' || reached_revision
           END, E'\n' ORDER BY total, reached_revision DESC) AS lines
    FROM (
        SELECT s.user_id, s.total, s.reached_revision, s.changed_revision, v.visibility
        FROM score.standing s
        LEFT JOIN score.visibility v ON v.board_id = %(board_id)s AND v.user_id = s.user_id
        WHERE s.board_id = %(board_id)s AND s.period = %(period_id)s AND s.user_id > %(after_user_id)s
          AND (%(period_id)s = 'all_time' OR EXISTS (
              SELECT FROM score.period
              WHERE board_id = %(board_id)s AND period_id = %(period_id)s AND entry_revision IS NULL))
        ORDER BY s.user_id LIMIT %(limit)s
    ) page
) p
WHERE b.board_id = %(board_id)s
