-- Where the ledgers of some boards stand.
SELECT board_id, revision, digest FROM score.board WHERE board_id = ANY (%(board_ids)s)
