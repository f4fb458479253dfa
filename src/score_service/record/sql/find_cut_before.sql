-- The cut that a board had before an instant.
SELECT (body::json ->> 'revision')::bigint AS revision FROM score.entry
WHERE board_id = %(board_id)s AND kind = 'archived' AND entered_at < %(before)s
ORDER BY revision DESC LIMIT 1
