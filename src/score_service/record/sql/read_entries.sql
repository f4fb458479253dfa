-- The entries of a board after a revision and up to another one, in order, each with the mark of the commit that holds it:
-- awards where they are asked for, and the others of some kinds or of all, of which `limit` are enough. Each row also says where the
-- ledger stands, and the marks of the commits that hold both revisions, or the last one before that. One row says that alone
-- where no entry is found, and there is none where there is no board. And each says where the cut is, and the mark of the
-- commit there, or the first one after it.
-- The message is for nobody, see get_award.sql: once the transaction has ended, all synchronous standbys have what was read.
WITH waited AS (SELECT pg_current_xact_id(), pg_logical_emit_message(true, 'laurel', '')),
board AS (
    SELECT b.revision AS head_revision, b.archived_revision, archived.mark AS archived_mark,
           former.mark AS after_mark, latter.mark AS upto_mark, latter.last_revision
    FROM score.board b
    LEFT JOIN LATERAL (
        SELECT encode(substr(digest, 1, 8), 'hex') AS mark FROM score.commit
        WHERE board_id = %(board_id)s AND last_revision >= b.archived_revision
          AND b.archived_revision > %(after_revision)s
        ORDER BY last_revision LIMIT 1
    ) archived ON true
    LEFT JOIN LATERAL (
        SELECT encode(substr(digest, 1, 8), 'hex') AS mark FROM score.commit
        WHERE board_id = %(board_id)s AND last_revision >= %(after_revision)s
        ORDER BY last_revision LIMIT 1
    ) former ON true
    LEFT JOIN LATERAL (
        SELECT encode(substr(digest, 1, 8), 'hex') AS mark, last_revision FROM score.commit
        WHERE board_id = %(board_id)s AND last_revision >= least(%(upto_revision)s, b.revision)
        ORDER BY last_revision LIMIT 1
    ) latter ON true
    WHERE b.board_id = %(board_id)s
), entered AS (
    SELECT a.revision, c.mark, 'award' AS kind, a.caller AS actor, a.trace_id, a.awarded_at AS recorded_at, NULL AS body,
           a.award_id, a.user_id, a.points, a.total_after, a.action_type, a.action_id, a.occurred_at, a.period_numbers
    FROM (
        SELECT first_revision, last_revision, encode(substr(digest, 1, 8), 'hex') AS mark FROM score.commit
        WHERE board_id = %(board_id)s AND last_revision > %(after_revision)s
          AND last_revision <= (SELECT last_revision FROM board) AND %(with_awards)s
    ) c
    CROSS JOIN LATERAL (
        SELECT * FROM score.award
        WHERE board_id = %(board_id)s AND revision >= c.first_revision AND revision <= c.last_revision
          AND revision > %(after_revision)s AND revision <= %(upto_revision)s
        OFFSET 0
    ) a
    UNION ALL
    SELECT e.revision, c.mark, e.kind, e.actor, e.trace_id, e.entered_at, e.body,
           NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL
    FROM (
        SELECT * FROM score.entry
        WHERE board_id = %(board_id)s AND revision > %(after_revision)s AND revision <= %(upto_revision)s
          AND (%(kinds)s::text[] IS NULL OR kind = ANY (%(kinds)s))
        ORDER BY revision LIMIT %(limit)s
    ) e
    CROSS JOIN LATERAL (
        SELECT encode(substr(digest, 1, 8), 'hex') AS mark FROM score.commit
        WHERE board_id = %(board_id)s AND last_revision >= e.revision
        ORDER BY last_revision LIMIT 1
    ) c
)
SELECT board.head_revision, board.archived_revision, board.archived_mark, board.after_mark, board.upto_mark,
       e.revision, e.mark, e.kind, e.actor, e.trace_id,
       score.to_micros(e.recorded_at) AS recorded_at, e.body, e.award_id::text, e.user_id, e.points, e.total_after,
       e.action_type, e.action_id, score.to_micros(e.occurred_at) AS occurred_at,
       CASE WHEN e.period_numbers IS NOT NULL THEN (
           SELECT string_agg(p.period_id, ' ' ORDER BY n.ordinal)
           FROM unnest(e.period_numbers) WITH ORDINALITY AS n (number, ordinal)
           JOIN score.period p ON p.board_id = %(board_id)s AND p.number = n.number
       ) END AS periods
FROM waited CROSS JOIN board LEFT JOIN entered e ON true
ORDER BY e.revision
