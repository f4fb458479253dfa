-- Lets a process deliver to a receiver from a board, and tells how far the receiver is; no row where another process does.
INSERT INTO relay.delivery (receiver, board_id, holder, held_until)
VALUES (%(receiver)s, %(board_id)s, %(holder)s, now() + make_interval(secs => %(seconds)s))
ON CONFLICT (receiver, board_id) DO UPDATE SET holder = excluded.holder, held_until = excluded.held_until
WHERE delivery.holder = excluded.holder OR delivery.held_until < now()
RETURNING position
