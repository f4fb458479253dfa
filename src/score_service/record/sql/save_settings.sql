-- Gives a board other settings. The rules stand in the function (migration 0003).
SELECT * FROM score.save_settings(
    %(board_id)s, %(settings_revision)s, %(settings)s, %(actor)s, %(request_id)s::uuid, %(trace_id)s
)
