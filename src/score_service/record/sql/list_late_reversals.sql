-- The awards that were taken back by entries after a revision, with their users, and where the ledger stands in the same snapshot:
-- those up to that revision; and later ones, of while a period was not final that was opened by then. One row says the
-- latter alone where there are none, and there is none where there is no board.
SELECT b.revision AS head_revision, late.user_id, late.award_revision
FROM score.board b
LEFT JOIN (
    SELECT e.body::json ->> 'user_id' AS user_id, r.award_revision
    FROM score.reversal r
    JOIN score.entry e ON e.board_id = %(board_id)s AND e.revision = r.revision
    WHERE r.board_id = %(board_id)s AND r.revision > %(revision)s
      AND (r.award_revision <= %(revision)s OR r.revision <= (
          SELECT max(entry_revision) FROM score.period
          WHERE board_id = %(board_id)s AND opened_revision <= %(revision)s))
) late ON true
WHERE b.board_id = %(board_id)s
