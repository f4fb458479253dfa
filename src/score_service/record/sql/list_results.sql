-- A page of the result of a final period, best first, from the top or below a user; and where the ledger stands in
-- the same snapshot.
SELECT b.revision, b.digest, p.entrants, r.user_id, r.total, r.rank, r.reached_revision
FROM score.board b
JOIN score.period p ON p.board_id = b.board_id AND p.period_id = %(period_id)s AND p.entry_revision IS NOT NULL
LEFT JOIN LATERAL (
    SELECT user_id, total, rank, reached_revision FROM score.period_result
    WHERE board_id = b.board_id AND period_number = p.number
      AND rank > CASE WHEN %(after_user_id)s = '' THEN 0 ELSE (
          SELECT rank FROM score.period_result
          WHERE board_id = b.board_id AND period_number = p.number AND user_id = %(after_user_id)s
      ) END
    ORDER BY rank LIMIT %(limit)s
) r ON true
WHERE b.board_id = %(board_id)s
ORDER BY r.rank
