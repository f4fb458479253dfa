-- A user and its neighbours in the result of a final period, best first, and where the ledger stands in the same
-- snapshot. Without who is hidden, and as if they had never been in it; who is shadowed stands where it would.
WITH final AS (
    SELECT number, entrants FROM score.period
    WHERE board_id = %(board_id)s AND period_id = %(period_id)s AND entry_revision IS NOT NULL
), hidden AS MATERIALIZED (
    SELECT r.rank FROM final f
    JOIN score.hidden_user h ON h.board_id = %(board_id)s
    JOIN score.period_result r ON r.board_id = %(board_id)s AND r.period_number = f.number AND r.user_id = h.user_id
), centre AS MATERIALIZED (
    SELECT r.*, h.visibility FROM final f
    JOIN score.period_result r ON r.board_id = %(board_id)s AND r.period_number = f.number
        AND r.user_id = %(user_id)s
    LEFT JOIN score.hidden_user h ON h.board_id = r.board_id AND h.user_id = r.user_id
    WHERE h.visibility IS DISTINCT FROM 'hidden'
), neighbour AS (
    (
        SELECT r.rank, r.user_id, r.total, r.reached_revision, NULL AS visibility FROM centre c
        JOIN score.period_result r ON r.board_id = c.board_id AND r.period_number = c.period_number
            AND r.rank < c.rank
        WHERE r.rank NOT IN (SELECT rank FROM hidden)
        ORDER BY r.rank DESC LIMIT %(radius)s
    ) UNION ALL (
        SELECT rank, user_id, total, reached_revision, visibility FROM centre
    ) UNION ALL (
        SELECT r.rank, r.user_id, r.total, r.reached_revision, NULL FROM centre c
        JOIN score.period_result r ON r.board_id = c.board_id AND r.period_number = c.period_number
            AND r.rank > c.rank
        WHERE r.rank NOT IN (SELECT rank FROM hidden)
        ORDER BY r.rank LIMIT %(radius)s
    )
)
SELECT b.revision, b.digest, f.entrants - (SELECT count(*) FROM hidden) AS entrants,
       n.user_id, n.total, n.reached_revision, n.visibility,
       n.rank - (SELECT count(*) FROM hidden WHERE hidden.rank < n.rank) AS rank
FROM score.board b
CROSS JOIN final f
LEFT JOIN neighbour n ON true
WHERE b.board_id = %(board_id)s
ORDER BY n.rank
