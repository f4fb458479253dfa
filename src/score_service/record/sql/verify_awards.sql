-- The awards of some users of a board up to a revision each, which is that of an award of theirs, in order.
SELECT a.revision, u.user_id, a.award_id::text, a.points, CASE WHEN a.period_numbers IS NOT NULL THEN ARRAY(
    SELECT coalesce(p.period_id, '') FROM unnest(a.period_numbers) WITH ORDINALITY AS n (number, ordinal)
    LEFT JOIN score.period p ON p.board_id = %(board_id)s AND p.number = n.number
    ORDER BY n.ordinal
) END AS period_ids
FROM unnest(%(user_ids)s::text[], %(revisions)s::bigint[]) AS u (user_id, revision)
CROSS JOIN LATERAL (
    SELECT * FROM score.award WHERE board_id = %(board_id)s AND revision = u.revision
    UNION ALL
    SELECT * FROM score.find_awards_before(%(board_id)s, u.user_id, u.revision, u.revision)
) a
ORDER BY a.revision
