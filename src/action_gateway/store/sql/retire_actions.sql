-- Stops offering the actions that are not among the wanted ones exactly as they are.
UPDATE gateway.action AS action
SET active = false
WHERE active AND NOT EXISTS (
    SELECT
    FROM jsonb_to_recordset(%(actions)s) AS wanted (
        action_id text, place integer, title text, prompt text, answers text[], number jsonb,
        points integer, repeat text, min_ms integer, board_id text
    )
    WHERE (action.action_id, action.place, action.title, action.prompt, action.answers, action.points,
           action.repeat, action.min_ms)
        = (wanted.action_id, wanted.place, wanted.title, wanted.prompt, wanted.answers, wanted.points,
           wanted.repeat, wanted.min_ms)
      AND action.number IS NOT DISTINCT FROM wanted.number
      AND action.board_id IS NOT DISTINCT FROM wanted.board_id
)
