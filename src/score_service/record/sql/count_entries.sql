-- How many entries of each kind a board has that are no awards, after a revision and up to another one.
SELECT kind, count(*) AS entries FROM score.entry
WHERE board_id = %(board_id)s AND revision > %(after_revision)s AND revision <= %(upto_revision)s
GROUP BY kind
