-- The periods of a board that are not final, in the order of their numbers.
SELECT * FROM score.period WHERE board_id = %(board_id)s AND entry_revision IS NULL ORDER BY number
