-- A page of the rows of the reversals of a board after a revision, and where its ledger stands in the same snapshot. It ends
-- at page_end, or with the last reversal where that is NULL.
SELECT b.revision AS head_revision, b.digest AS head_digest, r.revision AS key, r.reversal_id::text, r.award_revision, ARRAY(
    SELECT coalesce(p.period_id, '') FROM unnest(r.final_numbers) WITH ORDINALITY AS n (number, ordinal)
    LEFT JOIN score.period p ON p.board_id = %(board_id)s AND p.number = n.number
    ORDER BY n.ordinal
) AS final_periods, CASE WHEN count(*) OVER () = %(limit)s THEN max(r.revision) OVER () END AS page_end
FROM score.board b
LEFT JOIN LATERAL (
    SELECT * FROM score.reversal WHERE board_id = %(board_id)s AND revision > %(after)s
    ORDER BY revision LIMIT %(limit)s
) r ON true
WHERE b.board_id = %(board_id)s
