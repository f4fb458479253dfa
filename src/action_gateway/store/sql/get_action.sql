-- Gets an action that can be started.
SELECT action_id, version, title, prompt, points, repeat, min_ms, board_id
FROM gateway.action
WHERE active AND action_id = %(action_id)s
