-- The top of the results of those of some periods that are final, best first, and how many are in each, as if those
-- who are hidden had never been in them. A result in which nobody is shown still has a row.
SELECT p.period_id,
       p.entrants - (
           SELECT count(*) FROM score.hidden_user h
           CROSS JOIN LATERAL (
               SELECT FROM score.period_result
               WHERE board_id = %(board_id)s AND period_number = p.number AND user_id = h.user_id LIMIT 1
           ) r
           WHERE h.board_id = %(board_id)s
       ) AS entrants,
       row_number() OVER (PARTITION BY p.number ORDER BY r.rank) AS rank, r.user_id, r.total, r.reached_revision
FROM score.period p
LEFT JOIN LATERAL (
    SELECT rank, user_id, total, reached_revision FROM score.period_result
    WHERE board_id = %(board_id)s AND period_number = p.number
      AND NOT EXISTS (SELECT FROM score.hidden_user h
                      WHERE h.board_id = %(board_id)s AND h.user_id = period_result.user_id)
    ORDER BY rank LIMIT %(limit)s
) r ON true
WHERE p.board_id = %(board_id)s AND p.period_id = ANY (%(period_ids)s) AND p.entry_revision IS NOT NULL
ORDER BY p.number, r.rank
