-- A page of the periods of a board, of one kind or of all of them, the last to end first.
SELECT * FROM score.period
WHERE board_id = %(board_id)s AND (%(kind)s::text IS NULL OR kind = %(kind)s)
  AND (ends_at, number) < (%(before_end)s::timestamptz, %(before_number)s::bigint)
ORDER BY ends_at DESC, number DESC LIMIT %(limit)s
