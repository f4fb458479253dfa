-- Removes a page of what is not kept of the results of a kind.
SELECT score.prune_results(%(board_id)s, %(kind)s, %(keep)s, %(limit)s) AS removed
