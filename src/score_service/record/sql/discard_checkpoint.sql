-- Deletes a page of what is not the checkpoint of the cut. The rules stand in the function (migration 0008).
SELECT score.discard_checkpoint(%(board_id)s, %(limit)s) AS discarded
