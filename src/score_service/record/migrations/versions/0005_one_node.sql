-- One node a board: what is done to a board can be sent whole to the node that has it, where a database keeps its boards on
-- several (see 'Several nodes' in docs/operations/postgresql.md). On one server it costs nothing.
--
-- Such a database tells from each statement alone which node is meant. So each names the board of every table that it
-- reads or writes as a parameter; what inserts rows has them from a row of the board, and is a statement of its own,
-- because an INSERT beside a SELECT would be sent to all nodes; and no function with parameters is one of SQL, whose
-- parameters a planner for several nodes does not see.

-- Makes a board without awards, unless another transaction does.
CREATE OR REPLACE FUNCTION score.make_board(p_board_id text, p_settings_revision bigint, p_now timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    INSERT INTO score.board (board_id, revision, digest, created_at, settings_revision)
    VALUES (p_board_id, 0, sha256(convert_to(p_board_id, 'UTF8')), p_now, p_settings_revision)
    ON CONFLICT DO NOTHING;
END
$$;

-- Writes an entry of the ledger and answers its canonical text. Its commit is for the caller to write.
CREATE OR REPLACE FUNCTION score.add_entry(
    p_board_id text,
    p_revision bigint,
    p_kind text,
    p_actor text,
    p_request_id uuid,
    p_trace_id text,
    p_now timestamptz,
    p_body text
) RETURNS text
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    INSERT INTO score.entry (board_id, revision, kind, actor, request_id, trace_id, entered_at, body)
    VALUES (p_board_id, p_revision, p_kind, p_actor, p_request_id, p_trace_id, p_now, p_body);
    RETURN concat_ws(E'\t', p_revision, p_kind, p_actor, coalesce(p_request_id::text, ''), p_trace_id,
                     score.to_micros(p_now), p_body) || E'\n';
END
$$;

-- Freezes the standings of all periods of a locked board that are due.
CREATE OR REPLACE FUNCTION score.freeze_due(p_board_id text, p_revision bigint, p_now timestamptz) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    UPDATE score.period SET closed_revision = p_revision
    WHERE board_id = p_board_id AND closed_revision IS NULL AND final_at <= p_now;
END
$$;

-- Lists the periods that may hold an instant from p_since on: those that are stored, and those candidates that are not.
-- A period that opens starts where the one before it ended, which is what was stored of it, and not what would be
-- worked out for it today.
CREATE OR REPLACE FUNCTION score.list_places(p_board_id text, p_candidates jsonb, p_since timestamptz) RETURNS score.place[]
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    v_places score.place[];
BEGIN
    WITH candidate AS MATERIALIZED (
        SELECT c.*, s.ends_at AS stored_ends_at
        FROM jsonb_to_recordset(p_candidates) AS c (
            period_id text, kind text, starts_at timestamptz, ends_at timestamptz, closes_at timestamptz,
            final_at timestamptz, time_zone text, zone_data text)
        LEFT JOIN score.period s ON s.board_id = p_board_id AND s.period_id = c.period_id
    ), place AS (
        SELECT period_id, kind, number, starts_at, ends_at, closes_at, final_at, time_zone, zone_data,
               closed_revision IS NOT NULL AS is_frozen
        FROM score.period WHERE board_id = p_board_id AND ends_at > p_since
        UNION ALL
        SELECT period_id, kind, NULL, coalesce(
                   (SELECT b.stored_ends_at FROM candidate b WHERE b.kind = c.kind AND b.ends_at = c.starts_at),
                   greatest(starts_at, (SELECT s.ends_at FROM score.period s
                                        WHERE s.board_id = p_board_id AND s.kind = c.kind AND s.starts_at < c.starts_at
                                        ORDER BY s.starts_at DESC LIMIT 1))
               ), ends_at, closes_at, final_at, time_zone, zone_data, false
        FROM candidate c WHERE stored_ends_at IS NULL
    )
    SELECT array_agg((slot, period_id, kind, number, starts_at, ends_at, closes_at, final_at, time_zone, zone_data,
                      is_frozen)::score.place)
    INTO v_places
    FROM (SELECT row_number() OVER (ORDER BY number, starts_at, kind)::integer AS slot, place.* FROM place
          WHERE starts_at < ends_at) places;
    RETURN v_places;
END
$$;

-- Writes standings of a board where they lie. Nothing moves them meanwhile: whoever changes standings has locked the board.
CREATE FUNCTION score.move_standings(
    p_board_id text,
    p_places tid[],
    p_totals bigint[],
    p_reached_revisions bigint[],
    p_changed_revisions bigint[], -- NULL where the total of each was reached at what changed it.
    p_last_award_revisions bigint[] -- The same.
) RETURNS void
LANGUAGE plpgsql VOLATILE
-- The condition on the board, which has the statement sent to the node that it is on, could be planned as a scan of the
-- whole board. Where they lie is all that is needed.
SET plan_cache_mode = force_generic_plan
SET jit = off
SET enable_indexscan = off
SET enable_bitmapscan = off
SET enable_seqscan = off
SET enable_nestloop = on
AS $$
BEGIN
    UPDATE score.standing s
    SET total = p_totals[m.number], reached_revision = p_reached_revisions[m.number],
        changed_revision = p_changed_revisions[m.number], last_award_revision = p_last_award_revisions[m.number]
    FROM unnest(p_places) WITH ORDINALITY AS m (place, number)
    WHERE s.board_id = p_board_id AND s.ctid = m.place;
END
$$;
REVOKE EXECUTE ON FUNCTION score.move_standings FROM public;
GRANT EXECUTE ON FUNCTION score.move_standings TO score_runtime;

-- Adds what users have gained to their standings, to that of all time, which comes first, and to those of periods. Answers
-- what the totals were before, those of a user beside each other, and of each the latest award; and does nothing where a
-- total of all time would pass 2^53-1. The users are distinct.
-- Standings are looked up, and then changed where they lie. INSERT ON CONFLICT takes as long and writes more WAL, for it
-- locks each row first.
CREATE OR REPLACE FUNCTION score.add_points(
    p_board_id text,
    p_periods text[],
    p_user_ids text[],
    p_points bigint[],
    p_revisions bigint[],
    OUT totals bigint[],
    OUT award_revisions bigint[]
)
LANGUAGE plpgsql VOLATILE
-- A join by the key would be planned for a table without statistics, and read the whole board. A subquery that is
-- planned by itself can only use the index.
SET plan_cache_mode = force_generic_plan
SET jit = off
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_nestloop = on
AS $$
DECLARE
    v_overflows boolean;
    v_places tid[];
    v_totals bigint[];
    v_revisions bigint[];
    -- Of standings that there are not yet.
    v_new_periods text[];
    v_new_user_ids text[];
    v_new_totals bigint[];
    v_new_revisions bigint[];
BEGIN
    SELECT bool_or(period = 'all_time' AND total + points > 9007199254740991),
           array_agg(total), array_agg(award_revision),
           array_agg(place) FILTER (WHERE place IS NOT NULL),
           array_agg(total + points) FILTER (WHERE place IS NOT NULL),
           array_agg(revision) FILTER (WHERE place IS NOT NULL),
           array_agg(period) FILTER (WHERE place IS NULL), array_agg(user_id) FILTER (WHERE place IS NULL),
           array_agg(points) FILTER (WHERE place IS NULL), array_agg(revision) FILTER (WHERE place IS NULL)
    INTO v_overflows, totals, award_revisions, v_places, v_totals, v_revisions,
         v_new_periods, v_new_user_ids, v_new_totals, v_new_revisions
    FROM (
        SELECT p.period, u.user_id, u.points, u.revision, s.place, coalesce(s.total, 0) AS total,
               coalesce(s.award_revision, 0) AS award_revision
        FROM unnest(p_user_ids, p_points, p_revisions) WITH ORDINALITY AS u (user_id, points, revision, user_number)
        CROSS JOIN unnest(p_periods) WITH ORDINALITY AS p (period, number)
        LEFT JOIN LATERAL (
            SELECT ctid AS place, total, coalesce(last_award_revision, reached_revision) AS award_revision
            FROM score.standing
            WHERE board_id = p_board_id AND period = p.period AND user_id = u.user_id
            OFFSET 0
        ) s ON true
        ORDER BY u.user_number, p.number
    ) found;
    IF v_overflows THEN
        RETURN;
    END IF;
    IF v_places IS NOT NULL THEN
        PERFORM score.move_standings(p_board_id, v_places, v_totals, v_revisions, NULL, NULL);
    END IF;
    IF v_new_user_ids IS NOT NULL THEN
        INSERT INTO score.standing (board_id, period, user_id, total, reached_revision)
        SELECT b.board_id, n.period, n.user_id, n.total, n.revision
        FROM score.board b
        CROSS JOIN unnest(v_new_periods, v_new_user_ids, v_new_totals, v_new_revisions)
            AS n (period, user_id, total, revision)
        WHERE b.board_id = p_board_id;
    END IF;
END
$$;

-- The periods that an award counts in, and the total of its user in each.
CREATE TYPE score.period_counts AS (period_numbers integer[], period_totals bigint[]);

-- Records those awards of one board that the ledger does not have, in one commit. The ids given are distinct.
-- Answers the commit and, in the order of revisions, each new award's ordinal in the batch, its revision and
-- its user's total; and apart from them the ordinals of those that have no row and fail alone: whose total would
-- pass 2^53-1, and which belong to a period that is closed. All others were recorded before. For each period that the
-- new awards count in there are lines of `user_id total reached_revision`.
--
-- The candidates are the periods that were worked out for the board's settings. Nothing is done, and is_stale
-- answered, where the board has other settings now, or they do not hold its ledger time.
--
-- The board's row is locked before anything is read: at READ COMMITTED each statement of a volatile
-- function has a snapshot of its own, so what follows sees all that earlier commits wrote. The lock also
-- gives a call that finds nothing new a transaction to commit, so that it waits for synchronous standbys as
-- the first call did.
CREATE OR REPLACE FUNCTION score.record_awards(
    p_board_id text,
    p_award_ids uuid[],
    p_user_ids text[],
    p_points integer[],
    p_action_types text[],
    p_action_ids text[],
    p_request_ids uuid[],
    p_callers text[],
    p_trace_ids text[],
    p_occurred_ats timestamptz[], -- NULL where no award has one.
    p_settings_revision bigint,
    p_late text,
    p_valid_from timestamptz,
    p_valid_until timestamptz,
    p_candidates jsonb,
    OUT is_stale boolean,
    OUT settings_revision bigint,
    OUT ledger_time timestamptz,
    OUT from_revision bigint,
    OUT from_digest bytea,
    OUT to_revision bigint,
    OUT to_digest bytea,
    OUT ordinals bigint[],
    OUT revisions bigint[],
    OUT totals bigint[],
    OUT overflowing bigint[],
    OUT closed bigint[],
    OUT period_ids text[],
    OUT period_lines text[]
)
LANGUAGE plpgsql
VOLATILE
-- Users are looked up one by one, by the only index of their table, so one plan is right from the first on.
SET plan_cache_mode = force_generic_plan
SET jit = off
SET enable_seqscan = off
SET enable_bitmapscan = off
-- What is joined here are a few hundred rows that the planner takes for a few.
SET enable_nestloop = off
AS $$
#variable_conflict use_column
DECLARE
    v_known uuid[];
    v_entry text := '';
    v_first_revision bigint;
    v_places score.place[];
    -- Which instants count in which periods: a pair of a moment and a slot each.
    v_moments timestamptz[];
    v_slots integer[];
    v_closed_moments timestamptz[];
    -- The same for the awards that are new: a moment, a number and an id each.
    v_new_moments timestamptz[];
    v_numbers integer[];
    v_period_ids text[];
    -- How the totals in them stand in the canonical text, where all awards count in the same.
    v_period_text text;
    -- How many standings each award counts in, where all count in the same.
    v_width integer := 1;
    v_rows text;
    -- Of each award that is new the one of its user before it, the totals in the periods that it counts in, and what stands
    -- in the canonical text after its time.
    v_previous_revisions bigint[];
    v_counts score.period_counts[];
    v_tails text[];
    v_overflowing bigint[];
    -- The ordinals of all that fail.
    v_failed bigint[];
    v_time bigint;
BEGIN
    LOOP
        -- What lock_board does, at less cost.
        SELECT b.revision, b.digest, b.settings_revision INTO from_revision, from_digest, settings_revision
        FROM score.board b WHERE b.board_id = p_board_id FOR UPDATE;
        IF FOUND THEN
            ledger_time := greatest(
                score.ledger_clock(),
                (SELECT committed_at FROM score.commit
                 WHERE board_id = p_board_id AND last_revision = from_revision)
            );
        ELSE
            SELECT b.settings_revision, b.ledger_time INTO settings_revision, ledger_time
            FROM score.lock_board(p_board_id) b;
        END IF;
        is_stale := settings_revision <> p_settings_revision
            OR ledger_time < p_valid_from OR ledger_time >= p_valid_until;
        IF is_stale THEN
            RETURN;
        END IF;
        EXIT WHEN from_revision IS NOT NULL;
        PERFORM score.make_board(p_board_id, settings_revision, ledger_time);
    END LOOP;

    overflowing := '{}';
    closed := '{}';
    v_time := score.to_micros(ledger_time);
    v_known := score.find_recorded(p_board_id, p_award_ids);
    v_first_revision := from_revision;
    IF settings_revision <> 0 THEN
        IF settings_revision < 0 THEN  -- Made above, with the settings of the default.
            v_first_revision := from_revision + 1;
            SELECT score.add_entry(p_board_id, v_first_revision, 'settings', actor, NULL, '', ledger_time, settings)
            INTO v_entry
            FROM score.default_settings WHERE version = -settings_revision;
            settings_revision := v_first_revision;
            UPDATE score.board SET settings_revision = v_first_revision WHERE board_id = p_board_id;
        END IF;
        PERFORM score.freeze_due(p_board_id, from_revision, ledger_time);
        v_places := score.list_places(
            p_board_id, p_candidates, least(ledger_time, (SELECT min(o) FROM unnest(p_occurred_ats) o)));

        WITH asked AS (
            SELECT ledger_time AS moment
            UNION SELECT o FROM unnest(p_occurred_ats) o WHERE o IS NOT NULL
        ), held AS (
            SELECT DISTINCT ON (a.moment, p.kind)
                   a.moment, p.kind, p.slot, NOT p.is_frozen AND ledger_time < p.closes_at AS is_open
            FROM asked a JOIN unnest(v_places) AS p ON p.starts_at <= a.moment AND a.moment < p.ends_at
            -- Zone data that moved a boundary may have two hold it: what is stored holds, and of that the later.
            ORDER BY a.moment, p.kind, p.number IS NULL, p.starts_at DESC
        ), placed AS (
            SELECT h.moment, CASE
                       WHEN h.is_open THEN h.slot
                       WHEN p_late = 'current' THEN (SELECT c.slot FROM held c WHERE c.moment = ledger_time
                                                     AND c.kind = h.kind AND c.is_open)
                   END AS slot, NOT h.is_open AND p_late = 'refuse' AS is_refused
            FROM held h
        )
        SELECT array_agg(moment) FILTER (WHERE slot IS NOT NULL), array_agg(slot) FILTER (WHERE slot IS NOT NULL),
               array_agg(moment) FILTER (WHERE is_refused)
        INTO v_moments, v_slots, v_closed_moments
        FROM placed;
        IF v_closed_moments IS NOT NULL THEN
            closed := ARRAY(
                SELECT ordinal
                FROM unnest(p_award_ids, p_occurred_ats) WITH ORDINALITY AS g (award_id, occurred_at, ordinal)
                WHERE award_id <> ALL (v_known) AND coalesce(occurred_at, ledger_time) = ANY (v_closed_moments)
                ORDER BY ordinal
            );
        END IF;
    END IF;

    v_failed := closed;
    IF v_slots IS NOT NULL AND p_occurred_ats IS NULL THEN
        SELECT array_agg(period_id), array_agg(number), E'\t' || string_agg(period_id || '=%s', ','), 1 + count(*)
        INTO v_period_ids, v_numbers, v_period_text, v_width
        FROM (
            SELECT period_id, coalesce(number, opening + (
                       -- Those that are not stored have the last slots.
                       SELECT max(number) FROM score.period WHERE board_id = p_board_id), opening) AS number
            FROM (
                SELECT p.*, row_number() OVER (PARTITION BY number IS NULL ORDER BY slot) AS opening
                FROM unnest(v_places) AS p WHERE slot = ANY (v_slots)
            ) numbered
            ORDER BY slot
        ) counted;
    END IF;

    -- Once as a rule. Where totals overflow, nothing is written, the first overflowing award of each
    -- user is left out, and the rest is looked at again, so that it fails alone.
    ordinals := ARRAY(SELECT generate_series(1::bigint, cardinality(p_award_ids)));
    LOOP
        IF v_known <> '{}' OR v_failed <> '{}' THEN
            -- From here on the parameters have those alone that are left.
            SELECT array_agg(award_id), array_agg(user_id), array_agg(points), array_agg(action_type),
                   array_agg(action_id), array_agg(request_id), array_agg(caller), array_agg(trace_id),
                   CASE WHEN p_occurred_ats IS NOT NULL THEN array_agg(occurred_at) END, array_agg(ordinal)
            INTO p_award_ids, p_user_ids, p_points, p_action_types, p_action_ids, p_request_ids, p_callers,
                 p_trace_ids, p_occurred_ats, ordinals
            FROM unnest(p_award_ids, p_user_ids, p_points, p_action_types, p_action_ids, p_request_ids, p_callers,
                        p_trace_ids, p_occurred_ats, ordinals)
                AS g (award_id, user_id, points, action_type, action_id, request_id, caller, trace_id, occurred_at,
                      ordinal)
            WHERE award_id <> ALL (v_known) AND ordinal <> ALL (v_failed);
        END IF;
        IF ordinals IS NULL THEN
            revisions := NULL;
            totals := NULL;
            period_ids := NULL;
            period_lines := NULL;
            EXIT;
        END IF;
        IF p_occurred_ats IS NULL THEN
            -- All count in the same periods, so that a user gains the same in each of them.
            WITH numbered AS MATERIALIZED (
                SELECT g.*, v_first_revision + ordinal AS revision,
                       dense_rank() OVER (ORDER BY user_id) AS user_number,
                       sum(points) OVER (PARTITION BY user_id ORDER BY ordinal) AS points_so_far,
                       v_first_revision + lag(ordinal) OVER (PARTITION BY user_id ORDER BY ordinal) AS revision_before
                FROM unnest(p_user_ids, p_points) WITH ORDINALITY AS g (user_id, points, ordinal)
            ), gained AS MATERIALIZED (
                SELECT DISTINCT ON (user_number) user_number, user_id, points_so_far AS points, revision
                FROM numbered ORDER BY user_number, revision DESC
            ), before AS MATERIALIZED (
                -- Of each user v_width totals.
                SELECT (b.points).totals, (b.points).award_revisions
                FROM (
                    SELECT score.add_points(p_board_id, ARRAY['all_time'] || v_period_ids, array_agg(user_id),
                                            array_agg(points), array_agg(revision)) AS points
                    FROM gained OFFSET 0
                ) b
            ), totalled AS MATERIALIZED (
                SELECT n.ordinal, n.user_id,
                       b.totals[v_width * user_number - v_width + 1] + points_so_far AS total_after,
                       coalesce(revision_before, b.award_revisions[v_width * user_number - v_width + 1])
                           AS previous_revision,
                       CASE WHEN v_width > 1 THEN ARRAY(
                           SELECT points_so_far + unnest(
                               b.totals[v_width * user_number - v_width + 2 : v_width * user_number])
                       ) END AS period_totals
                FROM numbered n CROSS JOIN before b
            )
            SELECT (SELECT array_agg(ordinals[ordinal]) FROM (
                        SELECT min(ordinal) AS ordinal
                        FROM totalled WHERE total_after > 9007199254740991 GROUP BY user_id
                    ) overflow),
                   array_agg(v_first_revision + ordinal), array_agg(total_after), array_agg(previous_revision),
                   array_agg((v_numbers, period_totals)::score.period_counts) FILTER (WHERE v_width > 1),
                   array_agg(format(v_period_text, VARIADIC period_totals)),
                   CASE WHEN v_width > 1 THEN ARRAY(
                       -- Joined with them, all totals would be copied for each user.
                       SELECT string_agg(
                           user_id || ' ' || (SELECT b.totals FROM before b)[v_width * (user_number - 1) + place] + points
                               || ' ' || revision, E'\n')
                       FROM gained CROSS JOIN generate_series(2, v_width) AS place
                       GROUP BY place ORDER BY place
                   ) END
            INTO v_overflowing, revisions, totals, v_previous_revisions, v_counts, v_tails, period_lines
            FROM (SELECT * FROM totalled ORDER BY ordinal) ordered;
        ELSE
            WITH used AS (
                SELECT m.moment, p.slot, p.number, p.period_id
                FROM unnest(v_moments, v_slots) AS m (moment, slot)
                JOIN unnest(v_places) AS p ON p.slot = m.slot
                WHERE m.moment IN (SELECT coalesce(o, ledger_time) FROM unnest(p_occurred_ats) AS o)
            )
            SELECT array_agg(moment), array_agg(period_id), array_agg(coalesce(number, opening + (
                       -- Those that are not stored have the last slots.
                       SELECT max(number) FROM score.period WHERE board_id = p_board_id), opening))
            INTO v_new_moments, v_period_ids, v_numbers
            FROM (
                SELECT used.*, dense_rank() OVER (PARTITION BY number IS NULL ORDER BY slot) AS opening FROM used
            ) numbered;

            WITH numbered AS MATERIALIZED (
                SELECT g.*, coalesce(occurred_at, ledger_time) AS moment, v_first_revision + ordinal AS revision,
                       dense_rank() OVER (ORDER BY user_id) AS user_number,
                       sum(points) OVER (PARTITION BY user_id ORDER BY ordinal) AS points_so_far,
                       v_first_revision + lag(ordinal) OVER (PARTITION BY user_id ORDER BY ordinal) AS revision_before
                FROM unnest(p_user_ids, p_points, p_occurred_ats)
                    WITH ORDINALITY AS g (user_id, points, occurred_at, ordinal)
            ), gained AS MATERIALIZED (
                SELECT DISTINCT ON (user_number) user_number, user_id, points_so_far AS points, revision
                FROM numbered ORDER BY user_number, revision DESC
            ), before AS MATERIALIZED (
                SELECT (b.points).totals, (b.points).award_revisions
                FROM (
                    SELECT score.add_points(p_board_id, ARRAY['all_time'], array_agg(user_id), array_agg(points),
                                            array_agg(revision)) AS points
                    FROM gained OFFSET 0
                ) b
            ), totalled AS MATERIALIZED (
                SELECT n.*, b.totals[user_number] + points_so_far AS total_after,
                       coalesce(revision_before, b.award_revisions[user_number]) AS previous_revision
                FROM numbered n CROSS JOIN before b
            ), overflow AS (
                SELECT min(ordinal) AS ordinal
                FROM totalled WHERE total_after > 9007199254740991 GROUP BY user_id
            ), counted AS MATERIALIZED (
                -- Each award in each of its periods, with what its user gains there up to it.
                SELECT t.ordinal, t.user_id, t.revision, c.number, c.period_id,
                       dense_rank() OVER (PARTITION BY c.number ORDER BY t.user_number) AS user_number,
                       sum(t.points) OVER (PARTITION BY c.number, t.user_number ORDER BY t.ordinal) AS points_so_far
                FROM totalled t
                JOIN unnest(v_new_moments, v_numbers, v_period_ids) AS c (moment, number, period_id)
                    ON c.moment = t.moment
                WHERE NOT EXISTS (SELECT FROM overflow)
            ), counted_last AS MATERIALIZED (
                SELECT DISTINCT ON (number, user_number) number, period_id, user_number, user_id,
                       points_so_far AS points, revision
                FROM counted ORDER BY number, user_number, revision DESC
            ), counted_before AS MATERIALIZED (
                -- No total of a period is greater than that of all time, so none overflows.
                SELECT b.number, (b.points).totals
                FROM (
                    SELECT number, score.add_points(p_board_id, ARRAY[period_id], array_agg(user_id),
                                                    array_agg(points), array_agg(revision)) AS points
                    FROM counted_last GROUP BY number, period_id OFFSET 0
                ) b
            ), counts AS (
                -- Ordered before, because ordering each of the aggregates costs as much as all the rest.
                SELECT ordinal, array_agg(number) AS period_numbers, array_agg(total) AS period_totals,
                       string_agg(period_id || '=' || total, ',') AS period_text
                FROM (
                    SELECT c.ordinal, c.number, c.period_id, b.totals[c.user_number] + c.points_so_far AS total
                    FROM counted c JOIN counted_before b ON b.number = c.number
                    ORDER BY c.ordinal, c.number
                ) ordered
                GROUP BY ordinal
            ), lines AS (
                SELECT l.period_id, string_agg(
                           l.user_id || ' ' || b.totals[l.user_number] + l.points || ' ' || l.revision, E'\n') AS lines
                FROM counted_last l JOIN counted_before b ON b.number = l.number
                GROUP BY l.period_id
            )
            SELECT (SELECT array_agg(ordinals[ordinal]) FROM overflow),
                   array_agg(v_first_revision + ordinal), array_agg(total_after), array_agg(previous_revision),
                   array_agg((period_numbers, period_totals)::score.period_counts), array_agg(
                       CASE WHEN num_nonnulls(occurred_at, period_text) > 0 THEN
                           coalesce(score.to_micros(occurred_at)::text, '') || E'\t' || coalesce(period_text, '')
                       END),
                   (SELECT array_agg(period_id) FROM lines),
                   (SELECT array_agg(lines) FROM lines)
            INTO v_overflowing, revisions, totals, v_previous_revisions, v_counts, v_tails, period_ids,
                 period_lines
            FROM (
                SELECT t.*, c.period_numbers, c.period_totals, c.period_text
                FROM totalled t LEFT JOIN counts c ON c.ordinal = t.ordinal
                ORDER BY t.ordinal
            ) made;
        END IF;
        EXIT WHEN v_overflowing IS NULL;
        overflowing := overflowing || v_overflowing;
        v_failed := v_failed || v_overflowing;
    END LOOP;

    IF ordinals IS NOT NULL THEN
        INSERT INTO score.award (board_id, award_id, revision, user_id, action_type, action_id, points, total_after,
                                 request_id, caller, trace_id, awarded_at, occurred_at, period_numbers, period_totals,
                                 previous_revision)
        SELECT b.board_id, n.award_id, n.revision, n.user_id, n.action_type, n.action_id, n.points, n.total_after,
               n.request_id, n.caller, n.trace_id, ledger_time, n.occurred_at,
               n.period_numbers, n.period_totals, n.previous_revision
        FROM score.board b
        CROSS JOIN unnest(p_award_ids, revisions, p_user_ids, p_action_types, p_action_ids, p_points, totals,
                          p_request_ids, p_callers, p_trace_ids, p_occurred_ats, v_counts, v_previous_revisions)
            AS n (award_id, revision, user_id, action_type, action_id, points, total_after, request_id, caller,
                  trace_id, occurred_at, period_numbers, period_totals, previous_revision)
        WHERE b.board_id = p_board_id;
        -- The canonical text of a row. Neither ids nor SPIFFE ids hold a tab or a newline.
        SELECT string_agg(concat_ws(E'\t', revision, award_id, user_id, action_type, action_id, points, total_after,
                                    request_id, caller, trace_id, v_time, tail) || E'\n', '')
        INTO v_rows
        FROM unnest(revisions, p_award_ids, p_user_ids, p_action_types, p_action_ids, p_points, totals,
                    p_request_ids, p_callers, p_trace_ids, v_tails)
            AS n (revision, award_id, user_id, action_type, action_id, points, total_after, request_id, caller,
                  trace_id, tail);
        to_revision := revisions[cardinality(revisions)];
        IF v_width > 1 THEN
            period_ids := v_period_ids;
        END IF;
    END IF;
    IF period_ids IS NOT NULL AND EXISTS (SELECT FROM unnest(v_places) p WHERE p.number IS NULL) THEN
        INSERT INTO score.period (board_id, period_id, kind, number, starts_at, ends_at, closes_at, final_at,
                                  time_zone, zone_data, opened_revision)
        SELECT b.board_id, p.period_id, p.kind, n.number, p.starts_at, p.ends_at, p.closes_at, p.final_at,
               p.time_zone, p.zone_data,
               (SELECT min(a.revision) FROM score.award a
                WHERE a.board_id = p_board_id AND a.revision > from_revision AND n.number = ANY (a.period_numbers))
        FROM score.board b
        CROSS JOIN unnest(v_places) p
        JOIN (SELECT DISTINCT u.period_id, u.number FROM unnest(v_period_ids, v_numbers) AS u (period_id, number)) n
            ON n.period_id = p.period_id
        WHERE b.board_id = p_board_id AND p.number IS NULL;
    END IF;

    IF to_revision IS NULL AND v_first_revision = from_revision THEN
        to_revision := from_revision;
        to_digest := from_digest;
    ELSE
        to_revision := coalesce(to_revision, v_first_revision);
        to_digest := score.add_commit(
            p_board_id, from_revision, from_digest, to_revision, v_entry || coalesce(v_rows, ''), ledger_time);
    END IF;
END
$$;

-- Freezes the standings of the periods of a board that are due, where no award does.
CREATE OR REPLACE FUNCTION score.freeze_periods(p_board_id text) RETURNS void
LANGUAGE plpgsql VOLATILE
SET jit = off
SET enable_seqscan = off
AS $$
BEGIN
    PERFORM score.freeze_due(p_board_id, b.revision, b.ledger_time) FROM score.lock_board(p_board_id) b;
END
$$;

-- Writes up to p_limit of the final standings of a frozen period after a rank into its result, unless some are there,
-- and answers those that are: the last rank of them, and a line of rank, user id, total and reached revision
-- each; and the digest of the commit at which the period was frozen, which tells histories apart.
-- Whoever has no points left is left out. The digest alone where there are no more, and nulls where the period is not
-- frozen or has its entry.
-- The board is not locked: nothing changes standings that are frozen, so whoever does this writes the same.
CREATE OR REPLACE FUNCTION score.archive_page(
    p_board_id text,
    p_period_id text,
    p_after_rank bigint,
    p_limit bigint,
    OUT last_rank bigint,
    OUT lines text,
    OUT frozen_digest bytea
)
LANGUAGE plpgsql VOLATILE
SET work_mem = '64MB' -- What sorting a page takes.
AS $$
DECLARE
    v_number integer;
    v_above record;
    v_is_locked boolean := false;
    v_is_written boolean := false;
BEGIN
    SELECT p.number, c.digest INTO v_number, frozen_digest
    FROM score.period p
    JOIN score.commit c ON c.board_id = p_board_id AND c.last_revision = p.closed_revision
    WHERE p.board_id = p_board_id AND p.period_id = p_period_id AND p.entry_revision IS NULL;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    LOOP
        SELECT max(rank), string_agg(concat_ws(E'\t', rank, user_id, total, reached_revision) || E'\n', '' ORDER BY rank)
        INTO last_rank, lines
        FROM score.period_result
        WHERE board_id = p_board_id AND period_number = v_number
          AND rank > p_after_rank AND rank <= p_after_rank + p_limit;
        EXIT WHEN last_rank IS NOT NULL OR v_is_written;
        -- Whoever is about to write the same page waits here, and finds it written.
        IF NOT v_is_locked THEN
            PERFORM pg_advisory_xact_lock(hashtextextended(p_board_id || ' ' || p_period_id, 0));
            v_is_locked := true;
            CONTINUE;
        END IF;
        SELECT total, reached_revision INTO v_above FROM score.period_result
        WHERE board_id = p_board_id AND period_number = v_number AND rank = p_after_rank;
        INSERT INTO score.period_result (board_id, period_number, rank, user_id, total, reached_revision)
        SELECT board_id, v_number, p_after_rank + row_number() OVER (ORDER BY total DESC, reached_revision),
               user_id, total, reached_revision
        FROM (
            SELECT board_id, user_id, total, reached_revision FROM score.standing
            WHERE board_id = p_board_id AND period = p_period_id AND total > 0
              AND (p_after_rank = 0 OR total < v_above.total
                   OR total = v_above.total AND reached_revision > v_above.reached_revision)
            ORDER BY total DESC, reached_revision LIMIT p_limit
        ) page
        ON CONFLICT DO NOTHING;
        v_is_written := true;
    END LOOP;
END
$$;

-- Writes the entry of a period whose standings are archived, unless there is one, and answers the commit. Nothing is
-- written where the period was frozen at another commit than the one of what was archived.
CREATE OR REPLACE FUNCTION score.close_period(
    p_board_id text,
    p_period_id text,
    p_entrants bigint,
    p_digest bytea,
    p_frozen_digest bytea,
    p_actor text,
    OUT from_revision bigint,
    OUT from_digest bytea,
    OUT to_revision bigint,
    OUT to_digest bytea
)
LANGUAGE plpgsql VOLATILE
SET jit = off
SET enable_seqscan = off
AS $$
DECLARE
    v_now timestamptz;
    v_period score.period;
BEGIN
    SELECT revision, digest, ledger_time INTO from_revision, from_digest, v_now FROM score.lock_board(p_board_id);
    to_revision := from_revision;
    to_digest := from_digest;
    SELECT p.* INTO v_period
    FROM score.period p
    JOIN score.commit c ON c.board_id = p_board_id AND c.last_revision = p.closed_revision
    WHERE p.board_id = p_board_id AND p.period_id = p_period_id AND p.entry_revision IS NULL
      AND c.digest = p_frozen_digest;
    IF NOT FOUND THEN
        RETURN;
    END IF;
    -- A record that was restored meanwhile may have lost what was archived, up to all of it.
    IF p_entrants <> coalesce((SELECT max(rank) FROM score.period_result
                               WHERE board_id = p_board_id AND period_number = v_period.number), 0) THEN
        RETURN;
    END IF;
    to_revision := from_revision + 1;
    to_digest := score.add_commit(
        p_board_id, from_revision, from_digest, to_revision,
        score.add_entry(
            p_board_id, to_revision, 'period_closed', p_actor, NULL, '', v_now,
            format('{"closed_revision":%s,"closes_at":%s,"digest":"%s","ends_at":%s,"entrants":%s,"final_at":%s,'
                   '"kind":"%s","period_id":"%s","starts_at":%s,"time_zone":"%s","zone_data":"%s"}',
                   v_period.closed_revision, score.to_micros(v_period.closes_at), encode(p_digest, 'hex'),
                   score.to_micros(v_period.ends_at), p_entrants, score.to_micros(v_period.final_at),
                   v_period.kind, p_period_id, score.to_micros(v_period.starts_at), v_period.time_zone,
                   v_period.zone_data)),
        v_now);
    UPDATE score.period SET entrants = p_entrants, digest = p_digest, entry_revision = to_revision
    WHERE board_id = p_board_id AND period_id = p_period_id;
END
$$;

-- Removes up to p_limit standings of a final period after a user, whose result is kept elsewhere. Answers how many, and
-- the last user; fewer than p_limit where there are no more. It runs as its owner: the runtime role may remove no other standings.
CREATE OR REPLACE FUNCTION score.forget_standings(
    p_board_id text,
    p_period_id text,
    p_after_user_id text,
    p_limit bigint,
    OUT removed bigint,
    OUT last_user_id text
)
LANGUAGE plpgsql VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
SET enable_seqscan = off
AS $$
DECLARE
    v_user_ids text[];
BEGIN
    v_user_ids := ARRAY(
        SELECT user_id FROM score.standing
        WHERE board_id = p_board_id AND period = p_period_id AND user_id > p_after_user_id
          AND EXISTS (SELECT FROM score.period
                      WHERE board_id = p_board_id AND period_id = p_period_id AND entry_revision IS NOT NULL)
        ORDER BY user_id LIMIT p_limit
    );
    DELETE FROM score.standing
    WHERE board_id = p_board_id AND period = p_period_id AND user_id = ANY (v_user_ids);
    GET DIAGNOSTICS removed = ROW_COUNT;
    IF removed < p_limit THEN
        UPDATE score.period SET has_standings = false
        WHERE board_id = p_board_id AND period_id = p_period_id AND entry_revision IS NOT NULL;
    END IF;
    last_user_id := v_user_ids[cardinality(v_user_ids)];
END
$$;

-- Finds an award by its id. Without sorting, no other index is taken, see find_recorded.
CREATE OR REPLACE FUNCTION score.find_award(p_board_id text, p_award_id uuid) RETURNS score.award
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
SET jit = off
SET enable_sort = off
AS $$
DECLARE
    v_award score.award;
BEGIN
    SELECT a.* INTO v_award FROM score.award a
    WHERE a.board_id = p_board_id AND a.award_id BETWEEN p_award_id AND p_award_id
    ORDER BY a.award_id LIMIT 1;
    RETURN v_award;
END
$$;

-- Finds the award with a revision. NULL if there is none.
CREATE OR REPLACE FUNCTION score.find_award_at(p_board_id text, p_revision bigint) RETURNS score.award
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
SET jit = off
SET enable_sort = off
AS $$
DECLARE
    v_award score.award;
BEGIN
    SELECT a.* INTO v_award FROM score.award a
    WHERE a.board_id = p_board_id AND a.revision BETWEEN p_revision AND p_revision
    ORDER BY a.revision LIMIT 1;
    RETURN v_award;
END
$$;

-- Finds the award of a user before one of them. NULL if that is the first.
CREATE OR REPLACE FUNCTION score.find_previous_award(p_award score.award) RETURNS score.award
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
SET jit = off
SET enable_sort = off
AS $$
DECLARE
    v_hash bigint;
    v_award score.award;
BEGIN
    IF p_award.previous_revision IS NOT NULL THEN
        SELECT a.* INTO v_award FROM score.award a
        WHERE a.board_id = p_award.board_id
          AND a.revision BETWEEN p_award.previous_revision AND p_award.previous_revision
        ORDER BY a.revision LIMIT 1;
        RETURN v_award;
    END IF;
    v_hash := score.hash_user(p_award.board_id, p_award.user_id);
    SELECT a.* INTO v_award FROM score.award a
    WHERE (score.hash_user(a.board_id, a.user_id), a.revision) < (v_hash, p_award.revision)
      AND (score.hash_user(a.board_id, a.user_id), a.revision) > (v_hash, 0)
      AND a.board_id = p_award.board_id AND a.user_id = p_award.user_id AND a.previous_revision IS NULL
    ORDER BY score.hash_user(a.board_id, a.user_id) DESC, a.revision DESC LIMIT 1;
    RETURN v_award;
END
$$;

-- Tells whether a filter selects an award with these values, but for its user and for whether it stands.
DROP FUNCTION score.is_selected(score.award, text, text, text, timestamptz, timestamptz);
CREATE FUNCTION score.is_selected(
    p_caller text,
    p_action_id text,
    p_action_type text,
    p_awarded_at timestamptz,
    p_with_caller text,
    p_with_action_id text,
    p_with_action_type text,
    p_recorded_from timestamptz,
    p_recorded_until timestamptz
) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (p_with_caller IS NULL OR p_caller = p_with_caller)
    AND (p_with_action_id IS NULL OR p_action_id = p_with_action_id)
    AND (p_with_action_type IS NULL OR p_action_type = p_with_action_type)
    AND (p_recorded_from IS NULL OR p_awarded_at >= p_recorded_from)
    AND (p_recorded_until IS NULL OR p_awarded_at < p_recorded_until);
REVOKE EXECUTE ON FUNCTION score.is_selected FROM public;
GRANT EXECUTE ON FUNCTION score.is_selected TO score_runtime;

-- Finds so many awards of a board after a revision and up to another one that a filter selects and that stand, in
-- order; all of them where p_limit is NULL. What is NULL does not narrow the filter. Those of a user are walked through,
-- unless they are more than 2,000 of which a part is asked for: then looking at all awards finds enough of them.
CREATE OR REPLACE FUNCTION score.select_awards(
    p_board_id text,
    p_user_id text,
    p_caller text,
    p_action_id text,
    p_action_type text,
    p_recorded_from timestamptz,
    p_recorded_until timestamptz,
    p_after_revision bigint,
    p_upto_revision bigint,
    p_limit bigint
) RETURNS SETOF score.award
LANGUAGE plpgsql STABLE
SET enable_sort = off
SET enable_bitmapscan = off
SET jit = off
AS $$
DECLARE
    -- An hour beside the instants is looked at as well, see find_revision_before.
    v_after bigint := greatest(
        p_after_revision, score.find_revision_before(p_board_id, p_recorded_from - interval '1 hour'));
    v_upto bigint := least(p_upto_revision, CASE WHEN p_recorded_until IS NOT NULL THEN
        score.find_revision_before(p_board_id, p_recorded_until + interval '1 hour') END);
    v_walked score.award[];
BEGIN
    IF p_user_id IS NOT NULL THEN
        v_walked := ARRAY(
            SELECT w FROM score.find_awards_before(
                p_board_id, p_user_id, v_upto + 1, CASE WHEN p_limit IS NULL THEN v_upto ELSE 2000 END) w);
        IF cardinality(v_walked) < 2000 OR p_limit IS NULL OR v_walked[2000].revision <= v_after THEN
            RETURN QUERY
            SELECT a.* FROM unnest(v_walked) a
            WHERE a.revision > v_after
              AND score.is_selected(a.caller, a.action_id, a.action_type, a.awarded_at,
                                  p_caller, p_action_id, p_action_type, p_recorded_from, p_recorded_until)
              AND score.find_reversal(p_board_id, a.revision, NULL) IS NULL
            ORDER BY a.revision LIMIT p_limit;
            RETURN;
        END IF;
    END IF;
    RETURN QUERY
    SELECT a.* FROM score.award a
    WHERE a.board_id = p_board_id AND a.revision > v_after AND a.revision <= v_upto
      AND (p_user_id IS NULL OR a.user_id = p_user_id)
      AND score.is_selected(a.caller, a.action_id, a.action_type, a.awarded_at,
                              p_caller, p_action_id, p_action_type, p_recorded_from, p_recorded_until)
      -- As find_reversal does it.
      AND (SELECT true FROM score.reversal r
           WHERE r.board_id = p_board_id AND r.award_revision BETWEEN a.revision AND a.revision
           ORDER BY r.award_revision LIMIT 1) IS NULL
    ORDER BY a.revision LIMIT p_limit;
END
$$;

-- Takes points off standings, which are distinct, and answers what became of each: its total and the revision at which
-- it was reached, that of the latest award that stands. It is looked for only where that award is gone.
CREATE OR REPLACE FUNCTION score.take_points(
    p_board_id text,
    p_periods text[],
    p_period_numbers integer[], -- 0 for all time.
    p_user_ids text[],
    p_points bigint[],
    p_award_revisions bigint[], -- Of the latest award of each that goes.
    p_revisions bigint[], -- Of the entries that say so.
    p_gone_revisions bigint[], -- Of all awards that go, in order.
    OUT totals bigint[],
    OUT reached_revisions bigint[]
)
LANGUAGE plpgsql VOLATILE
-- A join by the key could be planned for a table without statistics, and read the whole board.
SET plan_cache_mode = force_generic_plan
SET jit = off
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
DECLARE
    v_places tid[];
    v_totals bigint[];
    v_reached_revisions bigint[];
    v_last_award_revisions bigint[];
BEGIN
    SELECT array_agg(s.place ORDER BY n.number), array_agg(s.total ORDER BY n.number),
           array_agg(s.reached_revision ORDER BY n.number),
           array_agg(coalesce(s.last_award_revision, s.reached_revision) ORDER BY n.number)
    INTO v_places, v_totals, v_reached_revisions, v_last_award_revisions
    FROM unnest(p_periods, p_user_ids) WITH ORDINALITY AS n (period, user_id, number)
    CROSS JOIN LATERAL (
        SELECT ctid AS place, total, reached_revision, last_award_revision FROM score.standing
        WHERE board_id = p_board_id AND period = n.period AND user_id = n.user_id
        OFFSET 0
    ) s;
    IF cardinality(v_places) IS DISTINCT FROM cardinality(p_user_ids) THEN
        RAISE EXCEPTION 'standings of the board % are missing', p_board_id;
    END IF;
    SELECT array_agg(total - points ORDER BY place), array_agg(CASE
               WHEN total = points THEN 0
               WHEN reached_revision <> award_revision THEN reached_revision
               ELSE score.find_award_before(
                   p_board_id, award_revision, nullif(period_number, 0), p_gone_revisions, false)
           END ORDER BY place)
    INTO totals, reached_revisions
    FROM unnest(v_totals, v_reached_revisions, p_points, p_award_revisions, p_period_numbers)
        WITH ORDINALITY AS s (total, reached_revision, points, award_revision, period_number, place);
    PERFORM score.move_standings(
        p_board_id, v_places, totals, reached_revisions, p_revisions, v_last_award_revisions);
END
$$;

-- Takes those awards of a board back that stand, in one commit of an entry each, in the order of the awards. The ids of
-- the awards are distinct, and those of the reversals. Answers the commit, nulls where there is no such board, and
-- the ordinals of what was taken back, in the order of the entries. What is not among them is no award of the board, or
-- was taken back before, or has the id of another reversal.
--
-- The standing of a user becomes what it would be had the award never been made, of all time and in every period
-- whose standings are not frozen. Each entry says what these became right after it. Of several awards of a user the
-- latest comes last, so that a standing keeps the revision at which its total was reached until then.
CREATE OR REPLACE FUNCTION score.reverse_awards(
    p_board_id text,
    p_award_ids uuid[],
    p_reversal_ids uuid[],
    p_reasons text[], -- As strings of JSON in ASCII, and so are those on whose behalf.
    p_on_behalf_of text[],
    p_actor text,
    p_trace_id text,
    OUT from_revision bigint,
    OUT from_digest bytea,
    OUT to_revision bigint,
    OUT to_digest bytea,
    OUT made bigint[]
)
LANGUAGE plpgsql VOLATILE
-- All is looked up one by one.
SET plan_cache_mode = force_generic_plan
SET jit = off
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
DECLARE
    v_now timestamptz;
    v_awards score.award[];
    v_revisions bigint[];
    v_rows text;
    -- The periods that these awards count in.
    v_numbers integer[];
    v_period_ids text[];
    v_frozen boolean[];
    -- What is written of the reversals; numbers of periods as texts, because they are of different lengths.
    v_entry_revisions bigint[];
    v_reversal_ids uuid[];
    v_award_revisions bigint[];
    v_final_numbers text[];
BEGIN
    SELECT b.revision, b.digest, b.ledger_time INTO from_revision, from_digest, v_now
    FROM score.lock_board(p_board_id) b;
    to_revision := from_revision;
    to_digest := from_digest;
    IF from_revision IS NULL THEN
        RETURN;
    END IF;

    SELECT array_agg(ordinal ORDER BY (award).revision), array_agg(award ORDER BY (award).revision),
           array_agg((award).revision ORDER BY (award).revision)
    INTO made, v_awards, v_revisions
    FROM (
        SELECT ordinal, reversal_id, score.find_award(p_board_id, award_id) AS award
        FROM unnest(p_award_ids, p_reversal_ids) WITH ORDINALITY AS g (award_id, reversal_id, ordinal)
        OFFSET 0
    ) found
    WHERE (award).revision IS NOT NULL
      AND score.find_reversal(p_board_id, (award).revision, reversal_id) IS NULL;
    IF made IS NULL THEN
        made := '{}';
        RETURN;
    END IF;
    PERFORM score.freeze_due(p_board_id, from_revision, v_now);
    v_numbers := ARRAY(SELECT DISTINCT unnest(a.period_numbers) FROM unnest(v_awards) a);
    SELECT array_agg(p.number), array_agg(p.period_id), array_agg(p.is_frozen)
    INTO v_numbers, v_period_ids, v_frozen
    FROM unnest(v_numbers) AS n (number)
    CROSS JOIN LATERAL (
        SELECT number, period_id, closed_revision IS NOT NULL AS is_frozen FROM score.period
        WHERE board_id = p_board_id AND number = n.number
        OFFSET 0
    ) p;

    WITH gone AS MATERIALIZED (
        SELECT a.ordinality AS place, a.award_id, a.revision AS award_revision, a.user_id, a.points, a.period_numbers
        FROM unnest(v_awards) WITH ORDINALITY AS a
    ), counting AS MATERIALIZED (
        -- Each award in all that it counts in.
        SELECT gone.*, 'all_time' AS period_id, 0 AS number, false AS is_frozen FROM gone
        UNION ALL
        SELECT gone.*, p.period_id, p.number, p.is_frozen
        FROM gone
        JOIN unnest(v_numbers, v_period_ids, v_frozen) AS p (number, period_id, is_frozen)
            ON p.number = ANY (gone.period_numbers)
    ), counted AS MATERIALIZED (
        SELECT counting.*,
               dense_rank() OVER (ORDER BY is_frozen, number, user_id) AS standing_number,
               sum(points) OVER (PARTITION BY number, user_id ORDER BY place) AS points_so_far,
               sum(points) OVER (PARTITION BY number, user_id) AS points_in_all,
               max(award_revision) OVER (PARTITION BY number, user_id) AS last_award_revision
        FROM counting
    ), moved AS MATERIALIZED (
        SELECT score.take_points(
                   p_board_id, array_agg(period_id ORDER BY standing_number),
                   array_agg(number ORDER BY standing_number), array_agg(user_id ORDER BY standing_number),
                   array_agg(points_in_all::bigint ORDER BY standing_number),
                   array_agg(award_revision ORDER BY standing_number),
                   array_agg(from_revision + place ORDER BY standing_number), v_revisions) AS standings
        FROM counted WHERE award_revision = last_award_revision AND NOT is_frozen
    ), made_entry AS MATERIALIZED (
        SELECT from_revision + place AS revision, award_id, award_revision, user_id, points,
               p_reversal_ids[made[place]] AS reversal_id, p_reasons[made[place]] AS reason,
               p_on_behalf_of[made[place]] AS on_behalf_of,
               string_agg(format(
                   '["%s",%s,%s]', period_id,
                   (standings).totals[standing_number] + points_in_all - points_so_far,
                   CASE WHEN award_revision = last_award_revision THEN (standings).reached_revisions[standing_number]
                        ELSE greatest((standings).reached_revisions[standing_number], last_award_revision) END
               ), ',' ORDER BY number) FILTER (WHERE NOT is_frozen) AS standings,
               array_agg(number ORDER BY number) FILTER (WHERE is_frozen) AS final_numbers,
               string_agg(format('"%s"', period_id), ',' ORDER BY number) FILTER (WHERE is_frozen) AS final_periods
        FROM counted CROSS JOIN moved
        GROUP BY place, award_id, award_revision, user_id, points
    )
    SELECT max(revision), string_agg(score.add_entry(
               p_board_id, revision, 'reversal', p_actor, NULL, p_trace_id, v_now,
               format('{"award_id":"%s","award_revision":%s,"final_periods":[%s],"on_behalf_of":%s,"points":%s,'
                      '"reason":%s,"reversal_id":"%s","standings":[%s],"user_id":"%s"}',
                      award_id, award_revision, final_periods, on_behalf_of, points, reason, reversal_id, standings,
                      user_id)), '' ORDER BY revision),
           array_agg(revision ORDER BY revision), array_agg(reversal_id ORDER BY revision),
           array_agg(award_revision ORDER BY revision), array_agg(final_numbers::text ORDER BY revision)
    INTO to_revision, v_rows, v_entry_revisions, v_reversal_ids, v_award_revisions, v_final_numbers
    FROM made_entry;
    INSERT INTO score.reversal (board_id, revision, reversal_id, award_revision, final_numbers)
    SELECT b.board_id, r.revision, r.reversal_id, r.award_revision, r.final_numbers::integer[]
    FROM score.board b
    CROSS JOIN unnest(v_entry_revisions, v_reversal_ids, v_award_revisions, v_final_numbers)
        AS r (revision, reversal_id, award_revision, final_numbers)
    WHERE b.board_id = p_board_id;
    to_digest := score.add_commit(p_board_id, from_revision, from_digest, to_revision, v_rows, v_now);
END
$$;

-- Says who may see a user of a board, in a commit of one entry, unless that is so already. Answers the commit, nulls where
-- there is no such board; what it was before, NULL where the user never had points; and the revision of the entry that
-- says what it is now, 0 where none does. The entry says what the standings are that the user has: of all time, and in
-- every period that is not final.
CREATE OR REPLACE FUNCTION score.set_visibility(
    p_board_id text,
    p_user_id text,
    p_visibility text,
    p_reason text, -- As a string of JSON in ASCII, and so is the one on whose behalf.
    p_on_behalf_of text,
    p_actor text,
    p_trace_id text,
    OUT from_revision bigint,
    OUT from_digest bytea,
    OUT to_revision bigint,
    OUT to_digest bytea,
    OUT before text,
    OUT revision bigint
)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan
SET jit = off
SET enable_seqscan = off
SET enable_bitmapscan = off
SET enable_hashjoin = off
SET enable_mergejoin = off
AS $$
#variable_conflict use_column
DECLARE
    v_now timestamptz;
    v_standings text;
    v_places tid[];
    v_totals bigint[];
    v_reached_revisions bigint[];
    v_last_award_revisions bigint[];
BEGIN
    SELECT b.revision, b.digest, b.ledger_time INTO from_revision, from_digest, v_now
    FROM score.lock_board(p_board_id) b;
    to_revision := from_revision;
    to_digest := from_digest;
    IF NOT EXISTS (SELECT FROM score.standing
                   WHERE board_id = p_board_id AND period = 'all_time' AND user_id = p_user_id) THEN
        RETURN;
    END IF;
    SELECT v.visibility, v.revision INTO before, revision
    FROM score.visibility v WHERE board_id = p_board_id AND user_id = p_user_id;
    before := coalesce(before, 'visible');
    revision := coalesce(revision, 0);
    IF before = p_visibility THEN
        RETURN;
    END IF;
    PERFORM score.freeze_due(p_board_id, from_revision, v_now);
    to_revision := from_revision + 1;
    revision := to_revision;

    WITH place AS MATERIALIZED (
        SELECT 'all_time' AS period, 0 AS number
        UNION ALL
        SELECT period_id, number FROM score.period WHERE board_id = p_board_id AND entry_revision IS NULL
    )
    SELECT string_agg(format('["%s",%s,%s]', p.period, s.total, s.reached_revision), ',' ORDER BY p.number),
           array_agg(s.place ORDER BY p.number), array_agg(s.total ORDER BY p.number),
           array_agg(s.reached_revision ORDER BY p.number), array_agg(s.last_award_revision ORDER BY p.number)
    INTO v_standings, v_places, v_totals, v_reached_revisions, v_last_award_revisions
    FROM place p
    CROSS JOIN LATERAL (
        SELECT ctid AS place, total, reached_revision, last_award_revision FROM score.standing
        WHERE board_id = p_board_id AND period = p.period AND user_id = p_user_id
        OFFSET 0
    ) s;
    PERFORM score.move_standings(
        p_board_id, v_places, v_totals, v_reached_revisions, array_fill(to_revision, ARRAY[cardinality(v_places)]),
        v_last_award_revisions);
    INSERT INTO score.visibility AS v (board_id, user_id, visibility, revision)
    VALUES (p_board_id, p_user_id, p_visibility, to_revision)
    ON CONFLICT (board_id, user_id) DO UPDATE SET visibility = excluded.visibility, revision = excluded.revision;
    to_digest := score.add_commit(
        p_board_id, from_revision, from_digest, to_revision,
        score.add_entry(
            p_board_id, to_revision, 'visibility', p_actor, NULL, p_trace_id, v_now,
            format('{"on_behalf_of":%s,"reason":%s,"standings":[%s],"user_id":"%s","visibility":"%s"}',
                   p_on_behalf_of, p_reason, v_standings, p_user_id, p_visibility)),
        v_now);
END
$$;
