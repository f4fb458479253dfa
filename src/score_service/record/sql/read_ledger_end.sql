-- Where the ledger of a board ends: as its row says, and as its awards, entries and commits do.
SELECT b.revision, b.digest, coalesce(ends.last_revision, 0) AS last_revision,
       b.board_id IS NOT NULL OR ends.last_revision IS NOT NULL
           OR EXISTS (SELECT FROM score.standing WHERE board_id = %(board_id)s) AS is_known
FROM (
    SELECT greatest(
        (SELECT revision FROM score.board WHERE board_id = %(board_id)s),
        (SELECT max(revision) FROM score.award WHERE board_id = %(board_id)s),
        (SELECT max(revision) FROM score.entry WHERE board_id = %(board_id)s),
        (SELECT max(last_revision) FROM score.commit WHERE board_id = %(board_id)s)
    ) AS last_revision
) ends
LEFT JOIN score.board b ON b.board_id = %(board_id)s
