-- Which users of a page of the standings of a board, in the order of user ids, have a latest award that is not the one that
-- their total was reached at, and where the ledger stands in the same snapshot. The page is what is limited, because few
-- users of a board may be such. It ends at page_end, or at the end of the board where that is NULL.
WITH page AS MATERIALIZED (
    SELECT user_id, last_award_revision, reached_revision FROM score.standing
    WHERE board_id = %(board_id)s AND period = 'all_time' AND user_id > %(after)s
    ORDER BY user_id LIMIT %(limit)s
)
SELECT b.revision AS head_revision, b.digest AS head_digest, s.user_id AS key, s.last_award_revision,
       (SELECT max(user_id) FROM page HAVING count(*) = %(limit)s) AS page_end
FROM score.board b
LEFT JOIN page s ON s.last_award_revision <> s.reached_revision
WHERE b.board_id = %(board_id)s
