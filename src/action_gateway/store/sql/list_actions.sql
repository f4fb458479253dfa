-- Lists the actions that can be started.
SELECT action_id, version, title, prompt, points, repeat, min_ms, board_id
FROM gateway.action
WHERE active
ORDER BY place, action_id
