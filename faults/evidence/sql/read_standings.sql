-- What every user has on every board, of all time and in each period.
SELECT board_id, period, user_id, total, reached_revision FROM score.standing
