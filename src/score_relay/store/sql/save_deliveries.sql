-- Keeps how far receivers are, and that a process goes on delivering to them. Tells of which it does.
UPDATE relay.delivery d
SET position = coalesce(g.position, d.position), held_until = now() + make_interval(secs => %(seconds)s)
FROM unnest(%(receivers)s::text[], %(board_ids)s::text[], %(positions)s::text[]) AS g (receiver, board_id, position)
WHERE d.receiver = g.receiver AND d.board_id = g.board_id AND d.holder = %(holder)s
RETURNING d.receiver, d.board_id
