-- A page of the result of a final period, best first, from the top or below a user; and where the ledger stands in
-- the same snapshot. Without who is hidden, and as if they had never been in it.
WITH final AS (
    SELECT number, entrants FROM score.period
    WHERE board_id = %(board_id)s AND period_id = %(period_id)s AND entry_revision IS NOT NULL
), hidden AS MATERIALIZED (
    SELECT r.rank FROM final f
    JOIN score.hidden_user h ON h.board_id = %(board_id)s
    JOIN score.period_result r ON r.board_id = %(board_id)s AND r.period_number = f.number AND r.user_id = h.user_id
)
SELECT b.revision, b.digest, f.entrants - (SELECT count(*) FROM hidden) AS entrants,
       r.user_id, r.total, r.reached_revision,
       r.rank - (SELECT count(*) FROM hidden WHERE hidden.rank < r.rank) AS rank
FROM score.board b
CROSS JOIN final f
LEFT JOIN LATERAL (
    SELECT user_id, total, rank, reached_revision FROM score.period_result
    WHERE board_id = b.board_id AND period_number = f.number
      AND rank > CASE WHEN %(after_user_id)s = '' THEN 0 ELSE (
          SELECT rank FROM score.period_result
          WHERE board_id = b.board_id AND period_number = f.number AND user_id = %(after_user_id)s
      ) END
      AND rank NOT IN (SELECT rank FROM hidden)
    ORDER BY rank LIMIT %(limit)s
) r ON true
WHERE b.board_id = %(board_id)s
ORDER BY r.rank
