-- The boards after one whose ids lie in any of some ranges, in the order of their ids, as `find_board` has one.
SELECT b.board_id, b.revision, b.digest, b.settings_revision, e.body AS settings,
       coalesce((SELECT max(number) FROM score.period p WHERE p.board_id = b.board_id), 0) AS opened_periods
FROM (
    SELECT DISTINCT found.* FROM unnest(%(firsts)s::text[], %(lasts)s::text[]) AS range (first, last)
    CROSS JOIN LATERAL (
        SELECT * FROM score.board
        WHERE board_id > %(after_board_id)s AND board_id BETWEEN range.first AND range.last
        ORDER BY board_id LIMIT %(limit)s
    ) found
) b
LEFT JOIN score.entry e ON e.board_id = b.board_id AND e.revision = b.settings_revision
ORDER BY b.board_id LIMIT %(limit)s
