-- The cut of a board, the digest of the commit there and when it was made, and the newest entry of those that awards were
-- archived with. There is no row where nothing is archived.
SELECT b.archived_revision AS revision, c.digest, c.committed_at, e.revision AS entry_revision, e.body
FROM score.board b
LEFT JOIN score.commit c ON c.board_id = %(board_id)s AND c.last_revision = b.archived_revision
LEFT JOIN LATERAL (
    SELECT revision, body FROM score.entry
    WHERE board_id = %(board_id)s AND kind = 'archived'
    ORDER BY revision DESC LIMIT 1
) e ON true
WHERE b.board_id = %(board_id)s AND b.archived_revision > 0
