-- A period of a board by its id.
SELECT * FROM score.period WHERE board_id = %(board_id)s AND period_id = %(period_id)s
