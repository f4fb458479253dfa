-- Archives a page of a frozen period. The rules stand in the function (migration 0003).
SELECT * FROM score.archive_page(%(board_id)s, %(period_id)s, %(after_rank)s, %(limit)s)
