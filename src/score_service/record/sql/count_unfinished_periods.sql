-- How many periods of all boards are not final, and for how many seconds the first of them is due.
SELECT count(*) AS periods,
       greatest(extract(epoch FROM score.ledger_clock() - min(final_at)), 0)::float AS due_seconds
FROM score.period WHERE entry_revision IS NULL
