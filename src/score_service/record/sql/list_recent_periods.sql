-- The periods of a board that are not final, the final one of each kind that ended last, and some by their ids.
SELECT * FROM score.period
WHERE board_id = %(board_id)s AND number = ANY (ARRAY(
    -- Each by an index of its own: a board has thousands of periods in the end.
    SELECT number FROM score.period WHERE board_id = %(board_id)s AND entry_revision IS NULL
    UNION
    SELECT number FROM score.period WHERE board_id = %(board_id)s AND period_id = ANY (%(period_ids)s)
    UNION
    SELECT last.number FROM unnest(ARRAY['day', 'week', 'month', 'season']) AS kinds (kind)
    CROSS JOIN LATERAL (
        SELECT number FROM score.period
        WHERE board_id = %(board_id)s AND kind = kinds.kind AND entry_revision IS NOT NULL
        ORDER BY starts_at DESC LIMIT 1
    ) last
))
ORDER BY number
