-- The last commit of a board that was made before an instant, and before the first award that counts in a period that is not
-- final; none if there is no award between the cut and that. So the entry of a cut is not why a board is cut again.
SELECT c.last_revision AS revision, c.digest
FROM score.board b
CROSS JOIN LATERAL (
    SELECT last_revision, digest FROM score.commit
    WHERE board_id = %(board_id)s AND committed_at < %(before)s AND last_revision > b.archived_revision
      AND last_revision <= least(score.find_revision_before(%(board_id)s, %(before)s), (
          SELECT min(opened_revision) - 1 FROM score.period
          WHERE board_id = %(board_id)s AND entry_revision IS NULL))
    ORDER BY last_revision DESC LIMIT 1
) c
WHERE b.board_id = %(board_id)s AND EXISTS (
    SELECT FROM score.award WHERE board_id = %(board_id)s AND revision > b.archived_revision AND revision <= c.last_revision)
