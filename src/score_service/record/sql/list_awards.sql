-- The awards of a board, or of one user on it, after the cut and before a revision, the newest first, and whether they were taken
-- back; and the cut. One row says that alone where there are none.
SELECT a.award_id::text, a.revision, a.user_id, a.points, a.total_after, a.action_type, a.action_id, a.caller, a.trace_id,
       a.awarded_at, a.occurred_at,
       EXISTS (SELECT FROM score.reversal r
               WHERE r.board_id = %(board_id)s AND r.award_revision = a.revision) AS reversed,
       CASE WHEN a.period_numbers IS NOT NULL THEN ARRAY(
           SELECT p.period_id FROM unnest(a.period_numbers) WITH ORDINALITY AS n (number, ordinal)
           JOIN score.period p ON p.board_id = %(board_id)s AND p.number = n.number
           ORDER BY n.ordinal
       ) END AS period_ids, b.archived_revision
FROM (SELECT) asked
LEFT JOIN score.board b ON b.board_id = %(board_id)s
LEFT JOIN LATERAL score.find_awards_before(%(board_id)s, %(user_id)s, %(before_revision)s, %(limit)s) a ON true
ORDER BY a.revision DESC
