-- The awards of all boards, each board's in the order of revisions.
SELECT board_id, revision, award_id::text, user_id, action_type, action_id, points, total_after,
       request_id::text, caller, trace_id, (extract(epoch FROM awarded_at) * 1000000)::bigint AS awarded_at,
       (extract(epoch FROM occurred_at) * 1000000)::bigint AS occurred_at,
       ARRAY(
           SELECT p.period_id FROM unnest(a.period_numbers) WITH ORDINALITY AS n (number, place)
           JOIN score.period p ON p.board_id = a.board_id AND p.number = n.number
           ORDER BY n.place
       ) AS period_ids,
       period_totals
FROM score.award a ORDER BY board_id, revision
