-- The reversals of a board that have any of some ids or are of any of some awards, each with the commit that holds it. They
-- are looked up one by one: a join would be planned for tables without statistics. Where that commit is archived, whether or
-- not it is deleted, it is the one at the cut.
SELECT e.revision, e.actor, e.entered_at, e.body, c.last_revision AS commit_revision, c.digest AS commit_digest
FROM (
    SELECT score.find_reversal(%(board_id)s, NULL, reversal_id) AS revision
    FROM unnest(%(reversal_ids)s::uuid[]) AS r (reversal_id)
    UNION
    SELECT score.find_reversal(%(board_id)s, coalesce(
        (score.find_award(%(board_id)s, award_id)).revision, score.find_archived_award(%(board_id)s, award_id)), NULL)
    FROM unnest(%(award_ids)s::uuid[]) AS a (award_id)
) found
CROSS JOIN LATERAL (
    SELECT * FROM score.entry WHERE board_id = %(board_id)s AND revision = found.revision LIMIT 1
) e
CROSS JOIN LATERAL (
    SELECT last_revision, digest FROM score.commit
    WHERE board_id = %(board_id)s AND last_revision >= greatest(
        e.revision, (SELECT archived_revision FROM score.board WHERE board_id = %(board_id)s))
    ORDER BY last_revision LIMIT 1
) c
