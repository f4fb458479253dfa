-- How many users have a standing and are not ranked, of all time and in each period that is not final, and where the ledger
-- stands in the same snapshot. They are looked for among those who are hidden and those of whom an award was taken back,
-- so that the statement does not grow with the board. Of an award that is archived and deleted, the reversal tells whose it was.
WITH suspect AS MATERIALIZED (
    SELECT user_id, bool_or(is_hidden) AS is_hidden
    FROM (
        SELECT user_id, true AS is_hidden FROM score.hidden_user WHERE board_id = %(board_id)s
        UNION ALL
        SELECT coalesce(a.user_id, e.body::json ->> 'user_id'), false
        FROM score.reversal r
        LEFT JOIN score.award a ON a.board_id = %(board_id)s AND a.revision = r.award_revision
        LEFT JOIN score.entry e ON a.user_id IS NULL AND e.board_id = %(board_id)s AND e.revision = r.revision
        WHERE r.board_id = %(board_id)s
    ) found
    GROUP BY user_id
), live AS MATERIALIZED (
    SELECT 'all_time' AS period
    UNION ALL
    SELECT period_id FROM score.period WHERE board_id = %(board_id)s AND entry_revision IS NULL
)
SELECT b.revision, b.digest, u.period, u.unranked
FROM score.board b
LEFT JOIN (
    SELECT live.period, count(*) AS unranked
    FROM suspect CROSS JOIN live
    JOIN score.standing s ON s.board_id = %(board_id)s AND s.period = live.period AND s.user_id = suspect.user_id
    WHERE suspect.is_hidden OR s.total = 0
    GROUP BY live.period
) u ON true
WHERE b.board_id = %(board_id)s
