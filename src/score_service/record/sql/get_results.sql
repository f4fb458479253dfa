-- Some users' places in the result of a final period, and where the ledger stands in the same snapshot. Who is hidden has
-- no place, and who is shadowed the one that would be; all others are as far up as if nobody were hidden above.
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
)
SELECT b.revision, b.digest, f.entrants - (SELECT count(*) FROM hidden) AS entrants,
       r.user_id, r.total, r.reached_revision, h.visibility,
       r.rank - (SELECT count(*) FROM hidden WHERE hidden.rank < r.rank) AS rank
FROM score.board b
CROSS JOIN final f
LEFT JOIN LATERAL (
    SELECT found.* FROM unnest(%(user_ids)s::text[]) AS asked (user_id)
    CROSS JOIN LATERAL (
        SELECT user_id, total, rank, reached_revision FROM score.period_result
        WHERE board_id = %(board_id)s AND period_number = f.number AND user_id = asked.user_id LIMIT 1
    ) found
) r ON true
LEFT JOIN score.hidden_user h ON h.board_id = %(board_id)s AND h.user_id = r.user_id
WHERE b.board_id = %(board_id)s
