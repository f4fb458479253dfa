-- Says who may see a user of a board. The rules stand in the function (migration 0004).
SELECT * FROM score.set_visibility(
    %(board_id)s, %(user_id)s, %(visibility)s, %(reason)s, %(on_behalf_of)s, %(actor)s, %(trace_id)s
)
