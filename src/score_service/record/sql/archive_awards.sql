-- Archives the awards of a board up to the end of a commit. The rules stand in the function (migration 0008).
SELECT * FROM score.archive_awards(
    %(board_id)s, %(revision)s, %(digest)s, %(body)s, %(checked_revision)s, %(actor)s, %(trace_id)s
)
