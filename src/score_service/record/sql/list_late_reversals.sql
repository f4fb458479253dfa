-- The users of whom an award up to a revision was taken back by an entry after it, and where the ledger stands in the same
-- snapshot. One row says that alone where there are none, and there is none where there is no board.
SELECT b.revision AS head_revision, u.user_id
FROM score.board b
LEFT JOIN (
    SELECT DISTINCT e.body::json ->> 'user_id' AS user_id
    FROM score.reversal r
    JOIN score.entry e ON e.board_id = %(board_id)s AND e.revision = r.revision
    WHERE r.board_id = %(board_id)s AND r.revision > %(revision)s AND r.award_revision <= %(revision)s
) u ON true
WHERE b.board_id = %(board_id)s
ORDER BY u.user_id
