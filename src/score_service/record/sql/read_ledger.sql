-- Awards, entries and commits after a revision and up to another one, in the order of revisions: a commit stands
-- beside the last row that it holds, and one whose last row is missing stands alone. In ids and times no value may
-- keep the row from being read, so they come as text.
SELECT coalesce(a.revision, e.revision, c.last_revision) AS revision, a.revision IS NOT NULL AS has_award,
       e.revision IS NOT NULL AS has_entry,
       a.award_id::text, a.user_id, a.action_type, a.action_id, a.points, a.total_after,
       coalesce(a.request_id, e.request_id)::text AS request_id, a.caller, coalesce(a.trace_id, e.trace_id) AS trace_id,
       trim_scale(extract(epoch FROM a.awarded_at) * 1000000)::text AS awarded_at,
       trim_scale(extract(epoch FROM a.occurred_at) * 1000000)::text AS occurred_at,
       CASE WHEN num_nonnulls(a.period_numbers, a.period_totals) > 0 THEN (
           SELECT string_agg(concat(p.period_id, '=', t.total), ',' ORDER BY t.ordinal)
           FROM unnest(a.period_numbers, a.period_totals) WITH ORDINALITY AS t (number, total, ordinal)
           LEFT JOIN score.period p ON p.board_id = %(board_id)s AND p.number = t.number
       ) END AS period_totals,
       a.previous_revision, e.kind, e.actor, trim_scale(extract(epoch FROM e.entered_at) * 1000000)::text AS entered_at, e.body,
       c.first_revision, c.digest
FROM (
    SELECT * FROM score.award
    WHERE board_id = %(board_id)s AND revision > %(after_revision)s AND revision <= %(upto_revision)s
    ORDER BY revision LIMIT %(limit)s
) a
FULL JOIN (
    SELECT * FROM score.entry
    WHERE board_id = %(board_id)s AND revision > %(after_revision)s AND revision <= %(upto_revision)s
    ORDER BY revision LIMIT %(limit)s
) e ON e.revision = a.revision
FULL JOIN (
    SELECT * FROM score.commit
    WHERE board_id = %(board_id)s AND last_revision > %(after_revision)s AND last_revision <= %(upto_revision)s
    ORDER BY last_revision LIMIT %(limit)s
) c ON c.last_revision = coalesce(a.revision, e.revision)
ORDER BY 1 LIMIT %(limit)s
