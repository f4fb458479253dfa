-- Offers the wanted actions that are not offered, each as a new edition.
INSERT INTO gateway.action (
    action_id, kind, version, active, place, title, prompt, answers, number, points, repeat, min_ms, board_id, per_minute
)
SELECT action_id,
       kind,
       1 + coalesce((SELECT max(version) FROM gateway.action WHERE action_id = wanted.action_id), 0),
       true, place, title, prompt, answers, number, points, repeat, min_ms, board_id, per_minute
FROM jsonb_to_recordset(%(actions)s) AS wanted (
    action_id text, kind text, place integer, title text, prompt text, answers text[], number jsonb, points integer,
    repeat text, min_ms integer, board_id text, per_minute integer
)
WHERE NOT EXISTS (SELECT FROM gateway.action WHERE active AND action_id = wanted.action_id)
