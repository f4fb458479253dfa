-- Lines of the checkpoint of a cut after a number, in order.
SELECT number, line, user_id, standing_revision FROM score.checkpoint_line
WHERE board_id = %(board_id)s AND revision = %(revision)s AND number > %(after_number)s
ORDER BY number LIMIT %(limit)s
