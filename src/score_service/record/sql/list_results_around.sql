-- A user and its neighbours in the result of a final period, best first, and where the ledger stands in the same
-- snapshot. Without who is hidden, and as if they had never been in it; who is shadowed stands where it would. Ranks are
-- bounded as in list_results.
WITH final AS (
    SELECT number, entrants FROM score.period
    WHERE board_id = %(board_id)s AND period_id = %(period_id)s AND entry_revision IS NOT NULL
), hidden AS MATERIALIZED (
    SELECT r.rank FROM final f
    JOIN score.hidden_user h ON h.board_id = %(board_id)s
    CROSS JOIN LATERAL (
        SELECT rank FROM score.period_result
        WHERE board_id = %(board_id)s AND period_number = f.number AND user_id = h.user_id LIMIT 1
    ) r
), centre AS MATERIALIZED (
    SELECT r.*, h.visibility FROM final f
    JOIN score.period_result r ON r.board_id = %(board_id)s AND r.period_number = f.number
        AND r.user_id = %(user_id)s
    LEFT JOIN score.hidden_user h ON h.board_id = %(board_id)s AND h.user_id = r.user_id
    WHERE h.visibility IS DISTINCT FROM 'hidden'
), neighbour AS (
    (
        SELECT r.* FROM centre c CROSS JOIN LATERAL (
            SELECT rank, user_id, total, reached_revision, NULL AS visibility FROM score.period_result
            WHERE board_id = %(board_id)s AND period_number = c.period_number AND rank < c.rank
              AND rank >= c.rank - %(radius)s - (SELECT count(*) FROM hidden)
              AND rank NOT IN (SELECT rank FROM hidden)
            ORDER BY rank DESC LIMIT %(radius)s
        ) r
    ) UNION ALL (
        SELECT rank, user_id, total, reached_revision, visibility FROM centre
    ) UNION ALL (
        SELECT r.* FROM centre c CROSS JOIN LATERAL (
            SELECT rank, user_id, total, reached_revision, NULL FROM score.period_result
            WHERE board_id = %(board_id)s AND period_number = c.period_number AND rank > c.rank
              AND rank <= c.rank + %(radius)s + (SELECT count(*) FROM hidden)
              AND rank NOT IN (SELECT rank FROM hidden)
            ORDER BY rank LIMIT %(radius)s
        ) r
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
