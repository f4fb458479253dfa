-- Where the ledgers of the boards after one stand, in the order of their ids, but for those on nodes that are unavailable.
SELECT * FROM score.list_reachable_heads(%(after_board_id)s, %(limit)s)
