-- The periods that a board has standings of, found one after the other.
WITH RECURSIVE found AS (
    SELECT min(period) AS period FROM score.standing WHERE board_id = %(board_id)s
    UNION ALL
    SELECT (SELECT min(period) FROM score.standing WHERE board_id = %(board_id)s AND period > found.period)
    FROM found WHERE found.period IS NOT NULL
)
SELECT period FROM found WHERE period IS NOT NULL
