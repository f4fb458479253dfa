-- Awards of a board after the cut by their ids, each with the commit that holds it.
SELECT a.award_id::text, a.revision, c.last_revision AS commit_revision, c.digest AS commit_digest,
       a.user_id, a.points, a.total_after, a.action_type, a.action_id, a.request_id::text,
       EXISTS (SELECT FROM score.reversal r
               WHERE r.board_id = %(board_id)s AND r.award_revision = a.revision) AS reversed
FROM score.award a
CROSS JOIN LATERAL (
    SELECT last_revision, digest FROM score.commit
    WHERE board_id = %(board_id)s AND last_revision >= a.revision
    ORDER BY last_revision LIMIT 1
) c
WHERE a.board_id = %(board_id)s AND a.award_id = ANY (%(award_ids)s::uuid[])
  AND a.revision > (SELECT archived_revision FROM score.board WHERE board_id = %(board_id)s)
