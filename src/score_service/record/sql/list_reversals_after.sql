-- The awards of a period that were taken back after its result was final, the newest first, each with the commit that
-- holds its reversal, or the one at the cut where that is archived; and how many they are in all.
SELECT count.reversals, e.revision, e.actor, e.entered_at, e.body, c.last_revision AS commit_revision,
       c.digest AS commit_digest
FROM score.period p
CROSS JOIN LATERAL (
    SELECT count(*) AS reversals FROM score.reversal
    WHERE board_id = %(board_id)s AND p.number = ANY (final_numbers)
) count
LEFT JOIN LATERAL (
    SELECT revision FROM score.reversal
    WHERE board_id = %(board_id)s AND p.number = ANY (final_numbers)
    ORDER BY revision DESC LIMIT %(limit)s
) r ON true
LEFT JOIN score.entry e ON e.board_id = %(board_id)s AND e.revision = r.revision
LEFT JOIN LATERAL (
    SELECT last_revision, digest FROM score.commit
    WHERE board_id = %(board_id)s AND last_revision >= greatest(
        e.revision, (SELECT archived_revision FROM score.board WHERE board_id = %(board_id)s))
    ORDER BY last_revision LIMIT 1
) c ON true
WHERE p.board_id = %(board_id)s AND p.period_id = %(period_id)s
ORDER BY e.revision DESC
