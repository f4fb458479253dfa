-- The reversals of a board that have any of some ids or are of any of some awards, each with the commit that holds it.
SELECT e.revision, e.actor, e.entered_at, e.body, c.last_revision AS commit_revision, c.digest AS commit_digest
FROM (
    SELECT revision FROM score.reversal
    WHERE board_id = %(board_id)s AND reversal_id = ANY (%(reversal_ids)s::uuid[])
    UNION
    SELECT r.revision FROM score.award a
    JOIN score.reversal r ON r.board_id = a.board_id AND r.award_revision = a.revision
    WHERE a.board_id = %(board_id)s AND a.award_id = ANY (%(award_ids)s::uuid[])
) found
JOIN score.entry e ON e.board_id = %(board_id)s AND e.revision = found.revision
CROSS JOIN LATERAL (
    SELECT last_revision, digest FROM score.commit
    WHERE board_id = e.board_id AND last_revision >= e.revision
    ORDER BY last_revision LIMIT 1
) c
