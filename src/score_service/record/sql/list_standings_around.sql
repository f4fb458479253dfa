-- A user and its neighbours, best first; how many stand above the user, on boards of at most `ranked_max`
-- users; how many there are in a period; and where the ledger stands in the same snapshot. None in a period that
-- is final. Nobody around a user who is hidden; one who is shadowed stands where it would, between those who are ranked.
WITH centre AS MATERIALIZED (
    SELECT s.user_id, s.total, s.reached_revision, h.visibility
    FROM score.standing s
    LEFT JOIN score.hidden_user h ON h.board_id = %(board_id)s AND h.user_id = s.user_id
    WHERE s.board_id = %(board_id)s AND s.period = %(period_id)s AND s.user_id = %(user_id)s
      AND s.total > 0 AND h.visibility IS DISTINCT FROM 'hidden'
      AND (%(period_id)s = 'all_time' OR EXISTS (
          SELECT FROM score.period
          WHERE board_id = %(board_id)s AND period_id = %(period_id)s AND entry_revision IS NULL))
), member AS MATERIALIZED (
    SELECT total, reached_revision FROM score.ranked_standing
    WHERE board_id = %(board_id)s AND period = %(period_id)s
    LIMIT %(ranked_max)s::bigint + 1
), neighbour AS (
    (
        SELECT s.user_id, s.total, s.reached_revision, NULL AS visibility FROM centre c
        JOIN score.ranked_standing s ON s.board_id = %(board_id)s AND s.period = %(period_id)s
            AND (s.total > c.total OR s.total = c.total AND s.reached_revision < c.reached_revision)
        ORDER BY s.total, s.reached_revision DESC LIMIT %(radius)s
    ) UNION ALL (
        SELECT user_id, total, reached_revision, visibility FROM centre
    ) UNION ALL (
        SELECT s.user_id, s.total, s.reached_revision, NULL FROM centre c
        JOIN score.ranked_standing s ON s.board_id = %(board_id)s AND s.period = %(period_id)s
            AND (s.total < c.total OR s.total = c.total AND s.reached_revision > c.reached_revision)
        ORDER BY s.total DESC, s.reached_revision LIMIT %(radius)s
    )
)
SELECT b.revision, b.digest, n.user_id, n.total, n.reached_revision, n.visibility, (
    SELECT CASE WHEN count(*) <= %(ranked_max)s THEN count(*) FILTER (
        WHERE m.total > c.total OR m.total = c.total AND m.reached_revision < c.reached_revision
    ) END
    FROM centre c LEFT JOIN member m ON true
) AS above, CASE WHEN %(period_id)s <> 'all_time' THEN (
    SELECT count(*) FROM score.ranked_standing
    WHERE board_id = %(board_id)s AND period = %(period_id)s AND EXISTS (
        SELECT FROM score.period
        WHERE board_id = %(board_id)s AND period_id = %(period_id)s AND entry_revision IS NULL)
) END AS entrants
FROM score.board b
LEFT JOIN neighbour n ON true
WHERE b.board_id = %(board_id)s
ORDER BY n.total DESC, n.reached_revision
