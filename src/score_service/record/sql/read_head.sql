-- Where the ledger of a board stands.
SELECT revision, digest FROM score.board WHERE board_id = %(board_id)s
