-- The reversals of one commit, in order.
SELECT e.revision, e.actor, e.entered_at, e.body, c.last_revision AS commit_revision, c.digest AS commit_digest
FROM score.commit c
JOIN score.entry e
  ON e.board_id = %(board_id)s AND e.revision BETWEEN c.first_revision AND c.last_revision AND e.kind = 'reversal'
WHERE c.board_id = %(board_id)s AND c.last_revision = %(last_revision)s
ORDER BY e.revision
