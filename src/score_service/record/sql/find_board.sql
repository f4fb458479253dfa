-- Where the ledger of a board stands, its settings, and how many periods of it were opened so far.
SELECT b.board_id, b.revision, b.digest, b.settings_revision, e.body AS settings,
       coalesce((SELECT max(number) FROM score.period p WHERE p.board_id = %(board_id)s), 0) AS opened_periods
FROM score.board b
LEFT JOIN score.entry e ON e.board_id = %(board_id)s AND e.revision = b.settings_revision
WHERE b.board_id = %(board_id)s
