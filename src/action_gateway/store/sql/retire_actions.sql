-- Stops offering the actions that are not among the wanted ones exactly as they are.
UPDATE gateway.action AS action
SET active = false
WHERE active AND NOT EXISTS (
    SELECT
    FROM jsonb_to_recordset(%(actions)s) AS wanted (
        action_id text, kind text, place integer, title text, prompt text, answers text[], number jsonb,
        points integer, repeat text, min_ms integer, board_id text, per_minute integer
    )
    WHERE (action.action_id, action.kind, action.place, action.title, action.prompt, action.answers, action.points,
           action.repeat, action.min_ms, action.per_minute)
        = (wanted.action_id, wanted.kind, wanted.place, wanted.title, wanted.prompt, wanted.answers, wanted.points,
           wanted.repeat, wanted.min_ms, wanted.per_minute)
      AND action.number IS NOT DISTINCT FROM wanted.number
      AND action.board_id IS NOT DISTINCT FROM wanted.board_id
)
