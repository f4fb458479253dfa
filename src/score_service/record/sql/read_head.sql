-- Where the ledger of a board stands, and up to where it is archived.
SELECT revision, digest, archived_revision FROM score.board WHERE board_id = %(board_id)s
