-- The newest standing of each user in the commits after a revision and up to another one. Whole commits
-- only, as many as hold at most `limit` awards; a limit not below the largest batch finds the next commit.
-- The driver sends a number in the smallest type that holds it, and a sum of two smallints overflows.
WITH stop AS (
    SELECT last_revision, digest FROM score.commit
    WHERE board_id = %(board_id)s
      AND last_revision > %(after_revision)s
      AND last_revision <= least(%(after_revision)s::bigint + %(limit)s, %(upto_revision)s)
    ORDER BY last_revision DESC LIMIT 1
)
SELECT DISTINCT ON (a.user_id)
       a.user_id, a.total_after, a.revision, stop.last_revision AS to_revision, stop.digest AS to_digest
FROM stop
JOIN score.award a ON a.board_id = %(board_id)s
    AND a.revision > %(after_revision)s AND a.revision <= stop.last_revision
ORDER BY a.user_id, a.revision DESC
