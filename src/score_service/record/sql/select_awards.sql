-- A page of the awards that a filter selects. The rules stand in the function (migration 0004).
SELECT award_id::text, revision, user_id, points
FROM score.select_awards(
    %(board_id)s, %(user_id)s, %(caller)s, %(action_id)s, %(action_type)s, %(recorded_from)s::timestamptz,
    %(recorded_until)s::timestamptz, %(after_revision)s, %(upto_revision)s, %(limit)s
)
