-- A page of a board below a total and the revision that it was reached at, best first; how many stand
-- above the page, unless they are more than `ranked_max`; how many there are in a period; and where the ledger
-- stands in the same snapshot. There are none in a period that is final. The first page stands below a total that
-- nobody has, so that nothing has to be counted above it.
SELECT b.revision, b.digest, s.user_id, s.total, s.reached_revision,
       CASE WHEN %(after_total)s > 9007199254740991 THEN 0 ELSE (
           SELECT CASE WHEN count(*) <= %(ranked_max)s THEN count(*) END
           FROM (
               SELECT FROM score.ranked_standing
               WHERE board_id = %(board_id)s AND period = %(period_id)s
                 AND (total > %(after_total)s
                      OR total = %(after_total)s AND reached_revision <= %(after_revision)s)
               LIMIT %(ranked_max)s::bigint + 1
           ) above
       ) END AS above, CASE WHEN %(period_id)s <> 'all_time' THEN (
    SELECT count(*) FROM score.ranked_standing
    WHERE board_id = %(board_id)s AND period = %(period_id)s AND EXISTS (
        SELECT FROM score.period
        WHERE board_id = %(board_id)s AND period_id = %(period_id)s AND entry_revision IS NULL)
) END AS entrants
FROM score.board b
LEFT JOIN LATERAL (
    SELECT user_id, total, reached_revision FROM score.ranked_standing
    WHERE board_id = %(board_id)s AND period = %(period_id)s
      AND (total < %(after_total)s OR total = %(after_total)s AND reached_revision > %(after_revision)s)
      AND (%(period_id)s = 'all_time' OR EXISTS (
          SELECT FROM score.period
          WHERE board_id = %(board_id)s AND period_id = %(period_id)s AND entry_revision IS NULL))
    ORDER BY total DESC, reached_revision LIMIT %(limit)s
) s ON true
WHERE b.board_id = %(board_id)s
ORDER BY s.total DESC, s.reached_revision
