-- Keeps an event that a receiver did not take, and that the receiver is past it; no row where another process delivers.
WITH passed AS (
    UPDATE relay.delivery SET position = %(position)s
    WHERE receiver = %(receiver)s AND board_id = %(board_id)s AND holder = %(holder)s
    RETURNING receiver, board_id
), buried AS (
    INSERT INTO relay.dead_letter (receiver, board_id, revision, attempts, reason, event)
    SELECT receiver, board_id, %(revision)s, %(attempts)s, %(reason)s, %(event)s FROM passed
    ON CONFLICT DO NOTHING
)
SELECT receiver FROM passed
