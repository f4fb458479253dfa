-- A page of the result of a period after a rank: the last rank of it, and the lines that its digest is of.
SELECT max(rank) AS last_rank,
       string_agg(concat_ws(E'\t', rank, user_id, total, reached_revision) || E'\n', '' ORDER BY rank) AS lines
FROM (
    SELECT * FROM score.period_result
    WHERE board_id = %(board_id)s AND period_number = %(number)s AND rank > %(after_rank)s
    ORDER BY rank LIMIT %(limit)s
) page
