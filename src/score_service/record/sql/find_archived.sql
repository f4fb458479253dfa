-- Which of some awards of a board are archived, and the cut with the digest of the commit there. Where none of them is, one row
-- has the cut alone, and there is none where nothing is archived. They are looked up one by one, see find_reversals.sql.
SELECT b.archived_revision, c.digest, a.award_id::text, a.revision
FROM score.board b
JOIN score.commit c ON c.board_id = %(board_id)s AND c.last_revision = b.archived_revision
LEFT JOIN (
    SELECT asked.award_id, score.find_archived_award(%(board_id)s, asked.award_id) AS revision
    FROM unnest(%(award_ids)s::uuid[]) AS asked (award_id)
    OFFSET 0
) a ON a.revision IS NOT NULL
WHERE b.board_id = %(board_id)s
