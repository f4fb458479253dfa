-- How many users had their first award after a revision and up to another one. It is the one whose total
-- after it is its points.
SELECT count(*) AS newcomers FROM score.award
WHERE board_id = %(board_id)s AND revision > %(after_revision)s AND revision <= %(upto_revision)s
  AND total_after = points
