-- Some users' places in the result of a final period, and where the ledger stands in the same snapshot.
SELECT b.revision, b.digest, p.entrants, r.user_id, r.total, r.rank, r.reached_revision
FROM score.board b
JOIN score.period p ON p.board_id = b.board_id AND p.period_id = %(period_id)s AND p.entry_revision IS NOT NULL
LEFT JOIN score.period_result r ON r.board_id = b.board_id AND r.period_number = p.number
    AND r.user_id = ANY (%(user_ids)s::text[])
WHERE b.board_id = %(board_id)s
