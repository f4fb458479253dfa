-- Takes awards of a board back. The rules stand in the function (migration 0004).
SELECT * FROM score.reverse_awards(
    %(board_id)s, %(award_ids)s::uuid[], %(reversal_ids)s::uuid[], %(reasons)s::text[], %(on_behalf_of)s::text[],
    %(actor)s, %(trace_id)s
)
