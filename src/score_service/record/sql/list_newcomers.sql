-- The users who had their first award in a period, or of all time, after a revision and up to another one, and its
-- revision. The total after it is its points; but that is so as well after the first one of a user who had none left. Awards up
-- to the cut are left out.
SELECT a.revision, a.user_id
FROM score.award a
LEFT JOIN score.period p ON p.board_id = %(board_id)s AND p.period_id = %(period_id)s
WHERE a.board_id = %(board_id)s AND a.revision > %(after_revision)s AND a.revision <= %(upto_revision)s
  AND a.revision > (SELECT archived_revision FROM score.board WHERE board_id = %(board_id)s)
  AND a.points = CASE WHEN %(period_id)s = 'all_time' THEN a.total_after
                      ELSE a.period_totals[array_position(a.period_numbers, p.number)] END
  AND score.find_award_before(a.board_id, a.revision, p.number, '{}', true) IS NULL
ORDER BY a.revision
