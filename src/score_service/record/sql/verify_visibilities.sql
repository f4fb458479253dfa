-- A page of the rows of who may see the users of a board after one of them, and where its ledger stands in the same
-- snapshot.
SELECT b.revision AS head_revision, b.digest AS head_digest, v.user_id AS key, v.visibility, v.revision
FROM score.board b
LEFT JOIN LATERAL (
    SELECT * FROM score.visibility WHERE board_id = %(board_id)s AND user_id > %(after)s
    ORDER BY user_id LIMIT %(limit)s
) v ON true
WHERE b.board_id = %(board_id)s
