-- Recording a batch, at less than half the cost: what is new is computed once, answered in arrays, and what
-- was recorded before is read by the caller.
-- The function of 0001, whose points are bigint, stays for servers of the version before.

-- Tells which ids the ledger of a board has. Two indexes begin with board_id. Without statistics, which a young
-- table does not have, the planner takes the other one, reads the whole board for each id, and keeps that
-- plan. Without sorting, only the index of the ids has the rows in the order asked for.
CREATE FUNCTION score.find_recorded(p_board_id text, p_award_ids uuid[]) RETURNS uuid[]
LANGUAGE plpgsql
VOLATILE
SET plan_cache_mode = force_generic_plan
SET enable_sort = off
AS $$
BEGIN
    RETURN ARRAY(
        SELECT award_id FROM unnest(p_award_ids) AS g (award_id)
        WHERE (SELECT true FROM score.award a
               WHERE a.board_id = p_board_id AND a.award_id BETWEEN g.award_id AND g.award_id
               ORDER BY a.award_id LIMIT 1)
    );
END
$$;

-- Records those awards of one board that the ledger does not have, in one commit. The ids given are distinct.
-- Answers the commit and, in the order of revisions, each new award's ordinal in the batch, its revision and
-- its user's total; and apart from them the ordinals of those whose total would pass 2^53-1, which have no row
-- and fail alone. All others were recorded before.
--
-- The board's row is locked before anything is read: at READ COMMITTED each statement of a volatile
-- function has a snapshot of its own, so what follows sees all that earlier commits wrote. The lock also
-- gives a call that finds nothing new a transaction to commit, so that it waits for synchronous standbys as
-- the first call did.
CREATE FUNCTION score.record_awards(
    p_board_id text,
    p_award_ids uuid[],
    p_user_ids text[],
    p_points integer[],
    p_action_types text[],
    p_action_ids text[],
    p_request_ids uuid[],
    p_callers text[],
    p_trace_ids text[],
    OUT from_revision bigint,
    OUT from_digest bytea,
    OUT to_revision bigint,
    OUT to_digest bytea,
    OUT ordinals bigint[],
    OUT revisions bigint[],
    OUT totals bigint[],
    OUT rejected bigint[]
)
LANGUAGE plpgsql
VOLATILE
-- Users are looked up one by one, by the only index of their table, so one plan is right from the first on.
SET plan_cache_mode = force_generic_plan
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
DECLARE
    v_known uuid[];
    v_rows text;
    v_overflowing bigint[];
    v_now timestamptz;
BEGIN
    SELECT revision, digest INTO from_revision, from_digest
    FROM score.board WHERE board_id = p_board_id FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO score.board (board_id, revision, digest, created_at)
        VALUES (p_board_id, 0, sha256(convert_to(p_board_id, 'UTF8')), clock_timestamp())
        ON CONFLICT DO NOTHING;
        SELECT revision, digest INTO from_revision, from_digest
        FROM score.board WHERE board_id = p_board_id FOR UPDATE;
    END IF;
    rejected := '{}';
    v_now := clock_timestamp();
    v_known := score.find_recorded(p_board_id, p_award_ids);

    -- Once as a rule. Where totals overflow, nothing is written, the first overflowing award of each
    -- user is left out, and the rest is looked at again, so that it fails alone.
    LOOP
        WITH fresh AS (
            SELECT *
            FROM unnest(p_award_ids, p_user_ids, p_points, p_action_types, p_action_ids,
                        p_request_ids, p_callers, p_trace_ids)
                WITH ORDINALITY AS g (award_id, user_id, points, action_type, action_id,
                                      request_id, caller, trace_id, ordinal)
            WHERE award_id <> ALL (v_known) AND ordinal <> ALL (rejected)
        ), totalled AS MATERIALIZED (
            SELECT fresh.*,
                   from_revision + row_number() OVER (ORDER BY ordinal) AS revision,
                   coalesce((SELECT s.total FROM score.standing s
                             WHERE s.board_id = p_board_id AND s.period = 'all_time'
                               AND s.user_id = fresh.user_id), 0)
                       + sum(points) OVER (PARTITION BY user_id ORDER BY ordinal) AS total_after
            FROM fresh
        ), overflowing AS (
            SELECT min(ordinal) AS ordinal
            FROM totalled WHERE total_after > 9007199254740991 GROUP BY user_id
        ), recorded AS (
            INSERT INTO score.award (board_id, award_id, revision, user_id, action_type, action_id, points,
                                     total_after, request_id, caller, trace_id, awarded_at)
            SELECT p_board_id, award_id, revision, user_id, action_type, action_id, points,
                   total_after, request_id, caller, trace_id, v_now
            FROM totalled
            WHERE NOT EXISTS (SELECT FROM overflowing)
        ), folded AS (
            INSERT INTO score.standing (board_id, period, user_id, total, reached_revision)
            SELECT p_board_id, 'all_time', user_id, max(total_after), max(revision)
            FROM totalled
            WHERE NOT EXISTS (SELECT FROM overflowing)
            GROUP BY user_id
            ON CONFLICT (board_id, period, user_id)
            DO UPDATE SET total = excluded.total, reached_revision = excluded.reached_revision
        )
        SELECT (SELECT array_agg(ordinal) FROM overflowing),
               max(revision),
               array_agg(ordinal ORDER BY revision),
               array_agg(revision ORDER BY revision),
               array_agg(total_after ORDER BY revision),
               -- The canonical text of a row. Neither ids nor SPIFFE ids hold a tab or a newline.
               string_agg(concat_ws(E'\t', revision, award_id, user_id, action_type, action_id, points,
                                    total_after, request_id, caller, trace_id,
                                    (extract(epoch FROM v_now) * 1000000)::bigint) || E'\n',
                          '' ORDER BY revision)
        INTO v_overflowing, to_revision, ordinals, revisions, totals, v_rows
        FROM totalled;
        EXIT WHEN v_overflowing IS NULL;
        rejected := rejected || v_overflowing;
    END LOOP;

    IF to_revision IS NULL THEN
        to_revision := from_revision;
        to_digest := from_digest;
    ELSE
        to_digest := sha256(from_digest || convert_to(v_rows, 'UTF8'));
        INSERT INTO score.commit (board_id, last_revision, first_revision, digest, committed_at)
        VALUES (p_board_id, to_revision, from_revision + 1, to_digest, v_now);
        UPDATE score.board SET revision = to_revision, digest = to_digest
        WHERE board_id = p_board_id;
    END IF;
END
$$;

REVOKE EXECUTE ON FUNCTION score.find_recorded FROM public;
REVOKE EXECUTE ON FUNCTION
    score.record_awards(text, uuid[], text[], integer[], text[], text[], uuid[], text[], text[]) FROM public;
GRANT EXECUTE ON FUNCTION score.find_recorded TO score_runtime;
GRANT EXECUTE ON FUNCTION
    score.record_awards(text, uuid[], text[], integer[], text[], text[], uuid[], text[], text[])
    TO score_runtime;
