-- A page of the users of a board after one of them whose latest award is not the one that their total was reached at, and
-- where its ledger stands in the same snapshot.
SELECT b.revision AS head_revision, b.digest AS head_digest, s.user_id AS key, s.last_award_revision
FROM score.board b
LEFT JOIN LATERAL (
    SELECT user_id, last_award_revision FROM score.standing
    WHERE board_id = %(board_id)s AND period = 'all_time' AND user_id > %(after)s
      AND last_award_revision IS DISTINCT FROM reached_revision AND last_award_revision IS NOT NULL
    ORDER BY user_id LIMIT %(limit)s
) s ON true
WHERE b.board_id = %(board_id)s
