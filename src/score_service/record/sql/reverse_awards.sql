-- Takes awards of a board back. The rules stand in the function (migration 0004).
SELECT * FROM score.reverse_awards(
    %(board_id)s, %(award_ids)s::uuid[], %(reversal_ids)s::uuid[],
    ARRAY(SELECT reason::text FROM json_array_elements(%(reasons)s::json) AS r (reason)),
    ARRAY(SELECT name::text FROM json_array_elements(%(on_behalf_of)s::json) AS n (name)),
    %(actor)s, %(trace_id)s
)
