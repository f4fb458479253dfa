-- How many users have a standing on a board, and where its ledger stands in the same snapshot.
SELECT b.revision, b.digest, (
    SELECT count(*) FROM score.standing WHERE board_id = b.board_id AND period = 'all_time'
) AS members
FROM score.board b WHERE b.board_id = %(board_id)s
