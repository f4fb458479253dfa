-- Gives boards other settings, and new boards a default. The rules stand in the function (migration 0003).
SELECT score.apply_settings(
    %(board_ids)s::text[], %(settings_revisions)s::bigint[], %(opened_periods)s::integer[], %(settings)s::text[],
    %(default_version)s, %(default_settings)s, %(actor)s, %(request_id)s::uuid, %(trace_id)s
) AS is_applied
