-- The periods of a board that are not final, the final one of each kind that ended last, and some by their ids.
SELECT * FROM score.period
WHERE board_id = %(board_id)s AND (
    entry_revision IS NULL
    OR period_id = ANY (%(period_ids)s)
    OR number IN (
        SELECT last.number FROM unnest(ARRAY['day', 'week', 'month', 'season']) AS kinds (kind)
        CROSS JOIN LATERAL (
            SELECT number FROM score.period p
            WHERE p.board_id = %(board_id)s AND p.kind = kinds.kind AND p.entry_revision IS NOT NULL
            ORDER BY p.ends_at DESC, p.number DESC LIMIT 1
        ) last
    )
)
ORDER BY number
