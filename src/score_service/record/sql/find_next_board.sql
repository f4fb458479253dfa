-- The first board after an id that anything is recorded of, also where its own row is gone.
SELECT least(
    (SELECT min(board_id) FROM score.board WHERE board_id > %(after_board_id)s),
    (SELECT min(board_id) FROM score.award WHERE board_id > %(after_board_id)s),
    (SELECT min(board_id) FROM score.entry WHERE board_id > %(after_board_id)s),
    (SELECT min(board_id) FROM score.commit WHERE board_id > %(after_board_id)s),
    (SELECT min(board_id) FROM score.standing WHERE board_id > %(after_board_id)s)
) AS board_id
