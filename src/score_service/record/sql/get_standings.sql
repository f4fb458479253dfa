-- The standings of some users, how many there are in a period, and where the ledger stands in the same snapshot. There
-- are none in a period that is final. A rank means looking at the whole board, so it is told on boards of at most
-- `ranked_max` users, and at most one more is looked at.
WITH asked AS MATERIALIZED (
    SELECT user_id, total, reached_revision FROM score.standing
    WHERE board_id = %(board_id)s AND period = %(period_id)s AND user_id = ANY (%(user_ids)s::text[])
      AND (%(period_id)s = 'all_time' OR EXISTS (
          SELECT FROM score.period
          WHERE board_id = %(board_id)s AND period_id = %(period_id)s AND entry_revision IS NULL))
), member AS MATERIALIZED (
    SELECT total, reached_revision FROM score.standing
    WHERE board_id = %(board_id)s AND period = %(period_id)s
    LIMIT %(ranked_max)s::bigint + 1
), ranked AS (
    SELECT reached_revision, row_number() OVER (ORDER BY total DESC, reached_revision) AS rank
    FROM member
    WHERE total >= (SELECT min(total) FROM asked) AND (SELECT count(*) FROM member) <= %(ranked_max)s
)
SELECT b.revision, b.digest, a.user_id, a.total, a.reached_revision, r.rank, CASE WHEN %(period_id)s <> 'all_time' THEN (
    SELECT count(*) FROM score.standing
    WHERE board_id = %(board_id)s AND period = %(period_id)s AND EXISTS (
        SELECT FROM score.period
        WHERE board_id = %(board_id)s AND period_id = %(period_id)s AND entry_revision IS NULL)
) END AS entrants
FROM score.board b
LEFT JOIN asked a ON true
-- No two users of a board reached their totals at the same revision.
LEFT JOIN ranked r ON r.reached_revision = a.reached_revision
WHERE b.board_id = %(board_id)s
