-- What taking back all that `select_awards` selects up to a revision would do: how many awards, points and users, in the
-- first row; and of the users among the first 100 now or then those whose rank or total would be another one. The place
-- among equals then is only looked for where it may matter: not for those who are below all of these.
WITH lost AS MATERIALIZED (
    SELECT a.user_id, count(*) AS awards, sum(a.points)::bigint AS points, max(a.revision) AS last_revision
    FROM score.award a
    WHERE a.board_id = %(board_id)s
      AND a.revision > (
          SELECT score.find_revision_before(%(board_id)s, %(recorded_from)s::timestamptz - interval '1 hour'))
      AND a.revision <= least(%(upto_revision)s::bigint, CASE WHEN %(recorded_until)s::timestamptz IS NOT NULL THEN (
          SELECT score.find_revision_before(%(board_id)s, %(recorded_until)s::timestamptz + interval '1 hour')) END)
      AND (%(user_id)s::text IS NULL OR a.user_id = %(user_id)s
           AND score.hash_user(a.board_id, a.user_id) = score.hash_user(%(board_id)s, %(user_id)s))
      AND (%(caller)s::text IS NULL OR a.caller = %(caller)s)
      AND (%(action_id)s::text IS NULL OR a.action_id = %(action_id)s)
      AND (%(action_type)s::text IS NULL OR a.action_type = %(action_type)s)
      AND (%(recorded_from)s::timestamptz IS NULL OR a.awarded_at >= %(recorded_from)s)
      AND (%(recorded_until)s::timestamptz IS NULL OR a.awarded_at < %(recorded_until)s)
      AND NOT EXISTS (SELECT FROM score.reversal r
                      WHERE r.board_id = a.board_id AND r.award_revision = a.revision)
    GROUP BY a.user_id
), now AS MATERIALIZED (
    SELECT s.user_id, s.total, s.reached_revision, s.total - coalesce(l.points, 0) AS total_left, l.last_revision,
           row_number() OVER (ORDER BY s.total DESC, s.reached_revision) AS rank
    FROM score.ranked_standing s LEFT JOIN lost l ON l.user_id = s.user_id
    WHERE s.board_id = %(board_id)s AND s.period = 'all_time'
), lowest AS MATERIALIZED (
    SELECT least(
        (SELECT min(total_left) FROM now WHERE rank <= 100 AND total_left > 0),
        (SELECT min(total_left) FROM (
            SELECT total_left FROM now WHERE total_left > 0 ORDER BY total_left DESC LIMIT 100
        ) first)
    ) AS total_left
), placed AS MATERIALIZED (
    SELECT user_id, row_number() OVER (ORDER BY total_left DESC, reached_then) AS rank
    FROM (
        SELECT user_id, total_left, CASE WHEN last_revision = reached_revision THEN score.find_award_left(
                   %(board_id)s, user_id, reached_revision, %(upto_revision)s, %(caller)s, %(action_id)s, %(action_type)s,
                   %(recorded_from)s, %(recorded_until)s)
               ELSE reached_revision END AS reached_then
        FROM now WHERE total_left > 0 AND total_left >= (SELECT total_left FROM lowest)
    ) standing
), move AS (
    SELECT now.user_id, now.total AS total_before, now.total_left AS total_after, now.rank AS rank_before,
           placed.rank AS rank_after
    FROM now LEFT JOIN placed ON placed.user_id = now.user_id
    WHERE (now.rank <= 100 OR placed.rank <= 100)
      AND (now.rank IS DISTINCT FROM placed.rank OR now.total <> now.total_left)
)
SELECT sums.*, move.*
FROM (SELECT coalesce(sum(awards), 0)::bigint AS awards, coalesce(sum(points), 0)::bigint AS points, count(*) AS users
      FROM lost) sums
LEFT JOIN move ON true
ORDER BY move.rank_before
