-- A page of the rows of who may see the users of a board after one of them, and where its ledger stands in the same
-- snapshot. It ends at page_end, or with the last row where that is NULL.
SELECT b.revision AS head_revision, b.digest AS head_digest, v.user_id AS key, v.visibility, v.revision,
       CASE WHEN count(*) OVER () = %(limit)s THEN max(v.user_id) OVER () END AS page_end
FROM score.board b
LEFT JOIN LATERAL (
    SELECT * FROM score.visibility WHERE board_id = %(board_id)s AND user_id > %(after)s
    ORDER BY user_id LIMIT %(limit)s
) v ON true
WHERE b.board_id = %(board_id)s
