-- The next commit of each board, as record_awards would write it. The users take turns, so that all of an award follows from
-- its board and its revision: what its user has, which award was the one before, and an id that is as random as those of
-- callers.
WITH made AS MATERIALIZED (
    SELECT b.board_id, b.digest, b.revision + n AS revision,
           md5(b.board_id || ' ' || b.revision + n)::uuid AS award_id,
           md5(b.board_id || ' request ' || b.revision + n)::uuid AS request_id,
           'player-' || repeat('0', 4 - length(u.number::text)) || u.number AS user_id,
           1 + u.number %% 100 AS points,
           (1 + u.number %% 100) * ((b.revision + n - 1) / %(users)s + 1) AS total_after,
           greatest(b.revision + n - %(users)s, 0) AS previous_revision
    FROM score.board b
    CROSS JOIN generate_series(1, least(%(size)s, %(awards)s - b.revision)) AS n
    CROSS JOIN LATERAL (SELECT (b.revision + n - 1) %% %(users)s AS number) u
), recorded AS (
    INSERT INTO score.award (board_id, award_id, revision, user_id, action_type, action_id, points, total_after,
                             request_id, caller, trace_id, awarded_at, previous_revision)
    SELECT board_id, award_id, revision, user_id, %(action_type)s, %(action_id)s, points, total_after, request_id,
           %(caller)s, '', now(), previous_revision
    FROM made ORDER BY board_id, revision
), sealed AS (
    SELECT board_id, min(revision) AS first_revision, max(revision) AS last_revision,
           sha256(digest || convert_to(string_agg(concat_ws(
               E'\t', revision, award_id, user_id, %(action_type)s::text, %(action_id)s::text, points, total_after, request_id,
               %(caller)s::text, '', score.to_micros(now())) || E'\n', '' ORDER BY revision), 'UTF8')) AS digest
    FROM made GROUP BY board_id, digest
), committed AS (
    INSERT INTO score.commit (board_id, last_revision, first_revision, digest, committed_at)
    SELECT board_id, last_revision, first_revision, digest, now() FROM sealed
)
UPDATE score.board b SET revision = s.last_revision, digest = s.digest FROM sealed s WHERE s.board_id = b.board_id
