-- The users who had their first award after a revision and up to another one, and its revision. It is the one
-- whose total after it is its points.
SELECT revision, user_id FROM score.award
WHERE board_id = %(board_id)s AND revision > %(after_revision)s AND revision <= %(upto_revision)s
  AND total_after = points
ORDER BY revision
