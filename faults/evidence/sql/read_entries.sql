-- The entries of all boards that are no awards, each board's in the order of revisions.
SELECT board_id, revision, kind, actor, coalesce(request_id::text, ''), trace_id,
       (extract(epoch FROM entered_at) * 1000000)::bigint, body
FROM score.entry ORDER BY board_id, revision
