-- The settings of a board and the revision of their entry; those of the default, with its version below 0, where there
-- is no such board.
SELECT e.revision, e.body AS settings
FROM score.board b
JOIN score.entry e ON e.board_id = %(board_id)s AND e.revision = b.settings_revision
WHERE b.board_id = %(board_id)s
UNION ALL (
    SELECT -version, settings FROM score.default_settings
    WHERE NOT EXISTS (SELECT FROM score.board WHERE board_id = %(board_id)s)
    ORDER BY version DESC LIMIT 1
)
