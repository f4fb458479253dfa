-- The awards of some users of a board after the cut and up to a revision each, which is that of an award of theirs, in order.
-- One without an id and without points stands for those up to the cut: the latest of them that was not taken back.
SELECT a.revision, u.user_id, a.award_id::text, a.points, CASE WHEN a.period_numbers IS NOT NULL THEN ARRAY(
    SELECT coalesce(p.period_id, '') FROM unnest(a.period_numbers) WITH ORDINALITY AS n (number, ordinal)
    LEFT JOIN score.period p ON p.board_id = %(board_id)s AND p.number = n.number
    ORDER BY n.ordinal
) END AS period_ids
FROM unnest(%(user_ids)s::text[], %(revisions)s::bigint[]) AS u (user_id, revision)
CROSS JOIN LATERAL (
    SELECT * FROM score.award
    WHERE board_id = %(board_id)s AND revision = u.revision
      AND revision > coalesce((SELECT archived_revision FROM score.board WHERE board_id = %(board_id)s), 0)
    UNION ALL
    SELECT * FROM score.find_awards_before(%(board_id)s, u.user_id, u.revision, u.revision)
) a
UNION ALL
SELECT l.standing_revision, l.user_id, '', 0, NULL
FROM score.board b
CROSS JOIN unnest(%(user_ids)s::text[]) AS u (user_id)
CROSS JOIN LATERAL score.find_checkpoint_line(%(board_id)s, b.archived_revision, u.user_id) l
WHERE b.board_id = %(board_id)s AND b.archived_revision > 0 AND l.standing_revision > 0
ORDER BY 1
