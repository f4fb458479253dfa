-- The newest standing of each user in the commits after a revision and up to another one, of all time and of each
-- period that is not final at the end of them; who may see the user by then, where that was changed; and which periods
-- became final in them. Whole commits only, as many as hold at most `limit` revisions; a limit not below the largest
-- commit finds the next one. The revision is the one of the award or entry that says so. Nothing follows a revision before
-- the cut.
-- The driver sends a number in the smallest type that holds it, and a sum of two smallints overflows.
WITH stop AS (
    SELECT last_revision, digest FROM score.commit
    WHERE board_id = %(board_id)s
      AND last_revision > %(after_revision)s
      AND last_revision <= least(%(after_revision)s::bigint + %(limit)s, %(upto_revision)s)
      AND NOT EXISTS (SELECT FROM score.board
                      WHERE board_id = %(board_id)s AND archived_revision > %(after_revision)s)
    ORDER BY last_revision DESC LIMIT 1
), made AS MATERIALIZED (
    SELECT a.user_id, a.total_after, a.revision, a.period_numbers, a.period_totals
    FROM stop
    JOIN score.award a ON a.board_id = %(board_id)s
        AND a.revision > %(after_revision)s AND a.revision <= stop.last_revision
), entered AS MATERIALIZED (
    SELECT e.revision, e.kind, e.body::json AS body
    FROM stop
    JOIN score.entry e ON e.board_id = %(board_id)s AND e.kind IN ('period_closed', 'reversal', 'visibility')
        AND e.revision > %(after_revision)s AND e.revision <= stop.last_revision
), finished AS (
    SELECT body ->> 'period_id' AS period_id FROM entered WHERE kind = 'period_closed'
), moved AS (
    SELECT 'all_time' AS period_id, user_id, total_after AS total, revision AS reached_revision, revision FROM made
    UNION ALL
    SELECT p.period_id, made.user_id, c.total_after, made.revision, made.revision
    FROM made
    CROSS JOIN unnest(made.period_numbers, made.period_totals) AS c (number, total_after)
    JOIN score.period p ON p.board_id = %(board_id)s AND p.number = c.number
    UNION ALL
    SELECT s.standing ->> 0, body ->> 'user_id', (s.standing ->> 1)::bigint, (s.standing ->> 2)::bigint, revision
    FROM entered CROSS JOIN json_array_elements(body -> 'standings') AS s (standing)
    WHERE kind IN ('reversal', 'visibility')
), newest AS (
    SELECT DISTINCT ON (period_id, user_id) *
    FROM moved WHERE period_id NOT IN (SELECT period_id FROM finished)
    ORDER BY period_id, user_id, revision DESC
), seen AS (
    SELECT DISTINCT ON (body ->> 'user_id') body ->> 'user_id' AS user_id, body ->> 'visibility' AS visibility
    FROM entered WHERE kind = 'visibility' ORDER BY body ->> 'user_id', revision DESC
)
SELECT n.period_id, n.user_id, n.total, n.reached_revision, n.revision, seen.visibility,
       stop.last_revision AS to_revision, stop.digest AS to_digest,
       (SELECT array_agg(period_id) FROM finished) AS finished
FROM stop LEFT JOIN newest n ON true LEFT JOIN seen ON seen.user_id = n.user_id
