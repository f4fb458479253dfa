-- What every user has on every board.
SELECT board_id, user_id, total, reached_revision FROM score.standing WHERE period = 'all_time'
