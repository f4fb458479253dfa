-- A page of the rows of the reversals of a board after a revision, and where its ledger stands in the same snapshot.
SELECT b.revision AS head_revision, b.digest AS head_digest, r.revision AS key, r.reversal_id::text, r.award_revision, ARRAY(
    SELECT coalesce(p.period_id, '') FROM unnest(r.final_numbers) WITH ORDINALITY AS n (number, ordinal)
    LEFT JOIN score.period p ON p.board_id = %(board_id)s AND p.number = n.number
    ORDER BY n.ordinal
) AS final_periods
FROM score.board b
LEFT JOIN LATERAL (
    SELECT * FROM score.reversal WHERE board_id = %(board_id)s AND revision > %(after)s
    ORDER BY revision LIMIT %(limit)s
) r ON true
WHERE b.board_id = %(board_id)s
