-- The final period of a kind that ended last.
SELECT * FROM score.period
WHERE board_id = %(board_id)s AND kind = %(kind)s AND entry_revision IS NOT NULL
ORDER BY ends_at DESC, number DESC LIMIT 1
