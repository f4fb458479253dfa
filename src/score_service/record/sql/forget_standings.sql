-- Removes a page of the standings of a final period.
SELECT * FROM score.forget_standings(%(board_id)s, %(period_id)s, %(after_user_id)s, %(limit)s)
