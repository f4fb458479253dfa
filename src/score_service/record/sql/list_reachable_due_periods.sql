-- Periods that are due, as list_due_periods lists them, but for those of boards on nodes that are unavailable.
SELECT *, extract(epoch FROM score.ledger_clock() - final_at)::float AS due_seconds
FROM score.list_reachable_due_periods(%(limit)s)
