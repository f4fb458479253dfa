-- Lists the actions that can be done.
SELECT action_id, kind, version, title, prompt, points, repeat, min_ms, board_id, per_minute
FROM gateway.action
WHERE active
ORDER BY place, action_id
