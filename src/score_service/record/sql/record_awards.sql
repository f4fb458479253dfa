-- Records a batch of awards of one board. The rules stand in the function (migration 0003).
SELECT * FROM score.record_awards(
    %(board_id)s, %(award_ids)s::uuid[], %(user_ids)s::text[], %(points)s::integer[], %(action_types)s::text[],
    %(action_ids)s::text[], %(request_ids)s::uuid[], %(callers)s::text[], %(trace_ids)s::text[],
    %(occurred_ats)s::timestamptz[], %(settings_revision)s, %(late)s, %(valid_from)s::timestamptz,
    %(valid_until)s::timestamptz, %(candidates)s::jsonb
)
