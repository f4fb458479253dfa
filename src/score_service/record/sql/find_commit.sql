-- The digest of the commit that ends at a revision, NULL if none does, and whether that is before the cut.
SELECT c.digest, coalesce(b.archived_revision > %(revision)s, false) AS is_archived
FROM (SELECT) asked
LEFT JOIN score.board b ON b.board_id = %(board_id)s
LEFT JOIN score.commit c ON c.board_id = %(board_id)s AND c.last_revision = %(revision)s
