-- Where the row of each board says that its ledger ends.
SELECT board_id, revision, digest FROM score.board
