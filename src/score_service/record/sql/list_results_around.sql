-- A user and its neighbours in the result of a final period, best first, and where the ledger stands in the same
-- snapshot.
SELECT b.revision, b.digest, p.entrants, r.user_id, r.total, r.rank, r.reached_revision
FROM score.board b
JOIN score.period p ON p.board_id = b.board_id AND p.period_id = %(period_id)s AND p.entry_revision IS NOT NULL
LEFT JOIN score.period_result c ON c.board_id = b.board_id AND c.period_number = p.number
    AND c.user_id = %(user_id)s
LEFT JOIN score.period_result r ON r.board_id = b.board_id AND r.period_number = p.number
    AND r.rank BETWEEN c.rank - %(radius)s AND c.rank + %(radius)s
WHERE b.board_id = %(board_id)s
ORDER BY r.rank
