-- Periods of all boards that are due to be made final, or are so and still have standings, the longest due first, and
-- for how many seconds they are.
SELECT *, extract(epoch FROM score.ledger_clock() - final_at)::float AS due_seconds
FROM score.period
WHERE has_standings AND final_at <= score.ledger_clock()
ORDER BY final_at LIMIT %(limit)s
