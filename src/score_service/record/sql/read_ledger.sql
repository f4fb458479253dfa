-- Awards and commits after a revision and up to another one, in the order of revisions: a commit stands
-- beside its last award, and one whose last award is missing stands alone. In ids and times no value may
-- keep the row from being read, so they come as text.
SELECT coalesce(a.revision, c.last_revision) AS revision, a.revision IS NOT NULL AS has_award,
       a.award_id::text, a.user_id, a.action_type, a.action_id, a.points, a.total_after,
       a.request_id::text, a.caller, a.trace_id,
       trim_scale(extract(epoch FROM a.awarded_at) * 1000000)::text AS awarded_at,
       c.first_revision, c.digest
FROM (
    SELECT * FROM score.award
    WHERE board_id = %(board_id)s AND revision > %(after_revision)s AND revision <= %(upto_revision)s
    ORDER BY revision LIMIT %(limit)s
) a
FULL JOIN (
    SELECT * FROM score.commit
    WHERE board_id = %(board_id)s AND last_revision > %(after_revision)s AND last_revision <= %(upto_revision)s
    ORDER BY last_revision LIMIT %(limit)s
) c ON c.last_revision = a.revision
ORDER BY 1 LIMIT %(limit)s
