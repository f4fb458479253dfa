-- The awards of all boards, each board's in the order of revisions.
SELECT board_id, revision, award_id::text, user_id, action_type, action_id, points, total_after,
       request_id::text, caller, trace_id, (extract(epoch FROM awarded_at) * 1000000)::bigint AS awarded_at
FROM score.award ORDER BY board_id, revision
