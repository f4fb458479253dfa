-- Periods of all boards that are due to be closed, the longest due first, and for how many seconds they are.
SELECT *, extract(epoch FROM score.ledger_clock() - final_at)::float AS due_seconds
FROM score.period
WHERE entry_revision IS NULL AND final_at <= score.ledger_clock()
ORDER BY final_at LIMIT %(limit)s
