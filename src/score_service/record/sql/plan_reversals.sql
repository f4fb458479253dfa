-- What taking back all that a filter selects would do. The rules stand in the function (migration 0004).
SELECT * FROM score.plan_reversals(
    %(board_id)s, %(user_id)s, %(caller)s, %(action_id)s, %(action_type)s, %(recorded_from)s::timestamptz,
    %(recorded_until)s::timestamptz, %(upto_revision)s
)
