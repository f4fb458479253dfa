-- Which of some users of a board were not visible to all at a revision. What was said of a user later than that is passed
-- over, which is rare: then the entries before tell.
SELECT user_id, visibility
FROM (
    SELECT v.user_id, CASE WHEN v.revision <= %(revision)s THEN v.visibility ELSE (
        SELECT e.body::json ->> 'visibility' FROM score.entry e
        WHERE e.board_id = %(board_id)s AND e.revision <= %(revision)s
          AND e.kind = 'visibility' AND e.body::json ->> 'user_id' = v.user_id
        ORDER BY e.revision DESC LIMIT 1
    ) END AS visibility
    FROM score.visibility v
    WHERE v.board_id = %(board_id)s AND v.user_id = ANY (%(user_ids)s::text[])
) seen
WHERE visibility <> 'visible'
