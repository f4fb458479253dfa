-- The standings of some users, who may see them, how many are ranked in a period, and where the ledger stands in the same
-- snapshot. There are none in a period that is final. A rank means looking at the whole board, so it is told on boards
-- of at most `ranked_max` users, and at most one more is looked at. A user who is hidden has none, and one who is
-- shadowed the one that would be.
WITH asked AS MATERIALIZED (
    SELECT s.user_id, s.total, s.reached_revision, h.visibility
    FROM score.standing s
    LEFT JOIN score.hidden_user h ON h.board_id = %(board_id)s AND h.user_id = s.user_id
    WHERE s.board_id = %(board_id)s AND s.period = %(period_id)s AND s.user_id = ANY (%(user_ids)s::text[])
      AND s.total > 0
      AND (%(period_id)s = 'all_time' OR EXISTS (
          SELECT FROM score.period
          WHERE board_id = %(board_id)s AND period_id = %(period_id)s AND entry_revision IS NULL))
), member AS MATERIALIZED (
    SELECT total, reached_revision FROM score.ranked_standing
    WHERE board_id = %(board_id)s AND period = %(period_id)s
    LIMIT %(ranked_max)s::bigint + 1
), ranked AS (
    SELECT reached_revision, row_number() OVER (ORDER BY total DESC, reached_revision) AS rank
    FROM member
    WHERE total >= (SELECT min(total) FROM asked) AND (SELECT count(*) FROM member) <= %(ranked_max)s
)
SELECT b.revision, b.digest, a.user_id, a.total, a.reached_revision, a.visibility, CASE
    WHEN a.visibility = 'shadowed' AND (SELECT count(*) FROM member) <= %(ranked_max)s THEN 1 + (
        SELECT count(*) FROM member m
        WHERE m.total > a.total OR m.total = a.total AND m.reached_revision < a.reached_revision)
    ELSE r.rank
END AS rank, CASE WHEN %(period_id)s <> 'all_time' THEN (
    SELECT count(*) FROM score.ranked_standing
    WHERE board_id = %(board_id)s AND period = %(period_id)s AND EXISTS (
        SELECT FROM score.period
        WHERE board_id = %(board_id)s AND period_id = %(period_id)s AND entry_revision IS NULL)
) END AS entrants
FROM score.board b
LEFT JOIN asked a ON true
-- No two users of a board reached their totals at the same revision, of those who have any.
LEFT JOIN ranked r ON r.reached_revision = a.reached_revision
WHERE b.board_id = %(board_id)s
