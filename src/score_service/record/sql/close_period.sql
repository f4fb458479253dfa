-- Writes the entry of a period that is archived. The rules stand in the function (migration 0003).
SELECT * FROM score.close_period(%(board_id)s, %(period_id)s, %(entrants)s, %(digest)s, %(frozen_digest)s, %(actor)s)
