-- A page of the result of a final period, best first, from the top or below a user; and where the ledger stands in
-- the same snapshot. Without who is hidden, and as if they had never been in it. Ranks have no gaps, so a page is within as
-- many ranks more as are hidden; with that bound no plan reads the rest of the result, as those do that are made while there
-- are no statistics of it yet.
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
), start AS (
    SELECT (SELECT count(*) FROM hidden) AS hidden, CASE WHEN %(after_user_id)s = '' THEN 0 ELSE (
        SELECT rank FROM score.period_result
        WHERE board_id = %(board_id)s AND period_number = final.number AND user_id = %(after_user_id)s
    ) END AS rank
    FROM final
)
SELECT b.revision, b.digest, f.entrants - start.hidden AS entrants,
       r.user_id, r.total, r.reached_revision,
       r.rank - (SELECT count(*) FROM hidden WHERE hidden.rank < r.rank) AS rank
FROM score.board b
CROSS JOIN final f
CROSS JOIN start
LEFT JOIN LATERAL (
    SELECT user_id, total, rank, reached_revision FROM score.period_result
    WHERE board_id = %(board_id)s AND period_number = f.number
      AND rank > start.rank AND rank <= start.rank + %(limit)s + start.hidden
      AND rank NOT IN (SELECT rank FROM hidden)
    ORDER BY rank LIMIT %(limit)s
) r ON true
WHERE b.board_id = %(board_id)s
ORDER BY r.rank
