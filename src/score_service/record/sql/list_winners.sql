-- The top of the results of those of some periods that are final, best first.
SELECT p.period_id, r.rank, r.user_id, r.total, r.reached_revision
FROM score.period p
JOIN score.period_result r ON r.board_id = p.board_id AND r.period_number = p.number AND r.rank <= %(limit)s
WHERE p.board_id = %(board_id)s AND p.period_id = ANY (%(period_ids)s) AND p.entry_revision IS NOT NULL
ORDER BY p.number, r.rank
