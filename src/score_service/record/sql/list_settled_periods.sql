-- What other settings of a board must fit: its periods that are not final, the final season that ended last, and some
-- by their ids.
SELECT * FROM score.period
WHERE board_id = %(board_id)s AND (
    entry_revision IS NULL
    OR period_id = ANY (%(period_ids)s)
    OR number = (
        SELECT number FROM score.period
        WHERE board_id = %(board_id)s AND kind = 'season' AND entry_revision IS NOT NULL
        ORDER BY ends_at DESC, number DESC LIMIT 1
    )
)
ORDER BY number
