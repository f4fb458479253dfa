-- Up to where the row of each board says that awards are archived.
SELECT board_id, archived_revision FROM score.board
