-- The awards of a board after a revision and up to another one that a filter selects and that stand, in order. An hour
-- beside the instants is looked at as well, see find_revision_before.
SELECT a.award_id::text, a.revision, a.user_id, a.points
FROM score.award a
WHERE a.board_id = %(board_id)s
  AND a.revision > greatest(%(after_revision)s::bigint, (
      SELECT score.find_revision_before(%(board_id)s, %(recorded_from)s::timestamptz - interval '1 hour')))
  AND a.revision <= least(%(upto_revision)s::bigint, CASE WHEN %(recorded_until)s::timestamptz IS NOT NULL THEN (
      SELECT score.find_revision_before(%(board_id)s, %(recorded_until)s::timestamptz + interval '1 hour')) END)
  AND (%(user_id)s::text IS NULL OR a.user_id = %(user_id)s
       AND score.hash_user(a.board_id, a.user_id) = score.hash_user(%(board_id)s, %(user_id)s))
  AND (%(caller)s::text IS NULL OR a.caller = %(caller)s)
  AND (%(action_id)s::text IS NULL OR a.action_id = %(action_id)s)
  AND (%(action_type)s::text IS NULL OR a.action_type = %(action_type)s)
  AND (%(recorded_from)s::timestamptz IS NULL OR a.awarded_at >= %(recorded_from)s)
  AND (%(recorded_until)s::timestamptz IS NULL OR a.awarded_at < %(recorded_until)s)
  AND NOT EXISTS (SELECT FROM score.reversal r
                  WHERE r.board_id = a.board_id AND r.award_revision = a.revision)
ORDER BY a.revision LIMIT %(limit)s
