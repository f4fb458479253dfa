-- Deletes a page of the awards of a board up to the cut. The rules stand in the function (migration 0008).
SELECT * FROM score.delete_archived(%(board_id)s, %(after_revision)s, %(limit)s)
