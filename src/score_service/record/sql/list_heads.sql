-- Where the ledgers of the boards after one stand, in the order of their ids.
SELECT board_id, revision, digest FROM score.board
WHERE board_id > %(after_board_id)s
ORDER BY board_id LIMIT %(limit)s
