-- An award of a board by its id, with the commit that holds it, if it is after the cut; nulls where there is none. And the cut.
-- The message is for nobody. It gives the transaction something to commit, so that it waits for synchronous
-- standbys. A server that came back from a crash may have an award that they never got, and one that was cut off
-- does not have those that its successor made. The id of the transaction is for nobody either: a standby says that it
-- has none to give, as to every statement that writes, where the message alone would be an internal error.
WITH waited AS (SELECT pg_current_xact_id(), pg_logical_emit_message(true, 'laurel', ''))
SELECT a.award_id::text, a.revision, c.last_revision AS commit_revision, c.digest AS commit_digest,
       a.user_id, a.points, a.total_after, a.action_type, a.action_id, a.request_id::text,
       EXISTS (SELECT FROM score.reversal r
               WHERE r.board_id = %(board_id)s AND r.award_revision = a.revision) AS reversed,
       b.archived_revision
FROM waited
LEFT JOIN score.board b ON b.board_id = %(board_id)s
LEFT JOIN score.award a ON a.board_id = %(board_id)s AND a.award_id = %(award_id)s::uuid
    AND a.revision > b.archived_revision
LEFT JOIN LATERAL (
    SELECT last_revision, digest FROM score.commit
    WHERE board_id = %(board_id)s AND last_revision >= a.revision
    ORDER BY last_revision LIMIT 1
) c ON true
