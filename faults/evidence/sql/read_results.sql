-- The results of all periods that are final, each in the order of ranks.
SELECT p.board_id, p.period_id, r.rank, r.user_id, r.total, r.reached_revision
FROM score.period p
JOIN score.period_result r ON r.board_id = p.board_id AND r.period_number = p.number
WHERE p.entry_revision IS NOT NULL
ORDER BY p.board_id, p.number, r.rank
