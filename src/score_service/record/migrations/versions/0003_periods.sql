-- Periods: ranges of time in which a board counts from 0.
--
-- What a local day is was worked out before: SQL sees instants, and never a time zone. A period is stored with the
-- first award in it. Awards and entries share the revisions of a board, and a commit's digest covers both.
--
-- Functions that take kinds of plans away are not compiled (jit): a plan that has to take one of these all the same is
-- given a cost of 10^10, and PostgreSQL before 18 compiles what costs that much, for seconds and again in each call.
ALTER FUNCTION score.find_recorded(text, uuid[]) SET jit = off;

-- The revision of the entry with the board's settings; 0 for a board that has none, as all had before this step.
ALTER TABLE score.board ADD COLUMN settings_revision bigint NOT NULL DEFAULT 0;

ALTER TABLE score.award
    -- When it happened, where the caller said so.
    ADD COLUMN occurred_at timestamptz,
    -- The periods that it counts in, in order; NULL where there are none.
    ADD COLUMN period_numbers integer[],
    -- The total of its user in each of them, right after it.
    ADD COLUMN period_totals bigint[],
    -- The award of its user before it; 0 where it is the first, and NULL where that is not known, as of all awards
    -- before this step.
    ADD COLUMN previous_revision bigint;

ALTER TABLE score.standing
    -- The revision that changed it last, where that is not the one at which its total was reached.
    ADD COLUMN changed_revision bigint,
    -- The latest award of its user of all time, where that is not the one at which its total was reached.
    ADD COLUMN last_award_revision bigint;

-- What a ledger has besides awards.
CREATE TABLE score.entry (
    board_id text COLLATE "C" NOT NULL,
    revision bigint NOT NULL CHECK (revision > 0),
    kind text NOT NULL CHECK (kind ~ '^[a-z_]{1,32}$'),
    -- Who made it.
    actor text NOT NULL,
    request_id uuid,
    trace_id text NOT NULL,
    entered_at timestamptz NOT NULL,
    -- Compact JSON with sorted keys, in ASCII.
    body text NOT NULL CHECK (body !~ '[^ -~]'),
    PRIMARY KEY (board_id, revision)
);

-- The settings that a board gets that is made by its first award. The newest version counts.
CREATE TABLE score.default_settings (
    version bigint PRIMARY KEY CHECK (version > 0),
    settings text NOT NULL CHECK (settings !~ '[^ -~]'),
    actor text NOT NULL,
    saved_at timestamptz NOT NULL
);

CREATE TABLE score.period (
    board_id text COLLATE "C" NOT NULL,
    period_id text COLLATE "C" NOT NULL CHECK (period_id ~ '^(day|week|month|season):[A-Za-z0-9._-]{1,64}$'),
    kind text NOT NULL,
    -- In the order in which the periods of the board were opened.
    number integer NOT NULL CHECK (number > 0),
    starts_at timestamptz NOT NULL,
    ends_at timestamptz NOT NULL CHECK (ends_at > starts_at),
    -- From this ledger time on no award counts in it.
    closes_at timestamptz NOT NULL CHECK (closes_at >= ends_at),
    -- From this ledger time on its standings are final.
    final_at timestamptz NOT NULL CHECK (final_at >= closes_at),
    -- Where the instants are from.
    time_zone text NOT NULL CHECK (time_zone ~ '^[A-Za-z0-9_+/-]{1,64}$'),
    zone_data text NOT NULL CHECK (zone_data ~ '^[A-Za-z0-9.]{1,32}$'),
    -- Of the first award in it.
    opened_revision bigint NOT NULL,
    -- Where the ledger stood when its standings were frozen.
    closed_revision bigint,
    -- Its result, of which the entry at entry_revision says the same.
    entrants bigint,
    digest bytea CHECK (octet_length(digest) = 32),
    entry_revision bigint,
    -- Whether only the top of its result is kept.
    is_truncated boolean NOT NULL DEFAULT false,
    -- Whether it may have standings that are to be removed once it is final.
    has_standings boolean NOT NULL DEFAULT true,
    PRIMARY KEY (board_id, period_id),
    UNIQUE (board_id, number),
    CHECK (num_nulls(entrants, digest, entry_revision) IN (0, 3)),
    CHECK (entry_revision IS NULL OR closed_revision < entry_revision)
);
CREATE INDEX period_by_end ON score.period (board_id, ends_at);
CREATE INDEX period_by_start ON score.period (board_id, kind, starts_at);
CREATE INDEX period_unfrozen ON score.period (board_id, final_at) WHERE closed_revision IS NULL;
CREATE INDEX period_unfinished ON score.period (final_at) WHERE has_standings;
CREATE INDEX period_live ON score.period (board_id) WHERE entry_revision IS NULL;

-- The standings of periods whose result is final, with their ranks.
CREATE TABLE score.period_result (
    board_id text COLLATE "C" NOT NULL,
    period_number integer NOT NULL,
    rank bigint NOT NULL CHECK (rank > 0),
    user_id text COLLATE "C" NOT NULL,
    total bigint NOT NULL,
    reached_revision bigint NOT NULL,
    PRIMARY KEY (board_id, period_number, rank),
    UNIQUE (board_id, period_number, user_id)
);

-- The only clock of the ledger.
CREATE FUNCTION score.ledger_clock() RETURNS timestamptz
LANGUAGE sql VOLATILE PARALLEL SAFE
RETURN clock_timestamp();

-- How instants stand in canonical texts.
CREATE FUNCTION score.to_micros(p_instant timestamptz) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN (extract(epoch FROM p_instant) * 1000000)::bigint;

-- Locks the row of a board, and tells where its ledger stands and what time it has, which never steps back.
-- A board that does not exist has no revision, and the settings of the default: of its version -settings_revision.
CREATE FUNCTION score.lock_board(
    p_board_id text,
    OUT revision bigint,
    OUT digest bytea,
    OUT settings_revision bigint,
    OUT ledger_time timestamptz
)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
BEGIN
    SELECT b.revision, b.digest, b.settings_revision INTO revision, digest, settings_revision
    FROM score.board b WHERE b.board_id = p_board_id FOR UPDATE;
    IF NOT FOUND THEN
        settings_revision := coalesce(-(SELECT max(version) FROM score.default_settings), 0);
    END IF;
    ledger_time := greatest(
        score.ledger_clock(),
        (SELECT committed_at FROM score.commit
         WHERE board_id = p_board_id AND last_revision = lock_board.revision)
    );
END
$$;

-- Makes a board without awards, unless another transaction does.
CREATE FUNCTION score.make_board(p_board_id text, p_settings_revision bigint, p_now timestamptz) RETURNS void
LANGUAGE sql VOLATILE
AS $$
    INSERT INTO score.board (board_id, revision, digest, created_at, settings_revision)
    VALUES (p_board_id, 0, sha256(convert_to(p_board_id, 'UTF8')), p_now, p_settings_revision)
    ON CONFLICT DO NOTHING
$$;

-- Writes an entry of the ledger and answers its canonical text. Its commit is for the caller to write.
CREATE FUNCTION score.add_entry(
    p_board_id text,
    p_revision bigint,
    p_kind text,
    p_actor text,
    p_request_id uuid,
    p_trace_id text,
    p_now timestamptz,
    p_body text
) RETURNS text
LANGUAGE sql VOLATILE
AS $$
    INSERT INTO score.entry (board_id, revision, kind, actor, request_id, trace_id, entered_at, body)
    VALUES (p_board_id, p_revision, p_kind, p_actor, p_request_id, p_trace_id, p_now, p_body);
    SELECT concat_ws(E'\t', p_revision, p_kind, p_actor, coalesce(p_request_id::text, ''), p_trace_id,
                     score.to_micros(p_now), p_body) || E'\n'
$$;

-- Seals what was written after a revision and up to another one as the next commit of a board that is locked, and
-- answers its digest.
CREATE FUNCTION score.add_commit(
    p_board_id text,
    p_from_revision bigint,
    p_from_digest bytea,
    p_to_revision bigint,
    p_rows text,
    p_now timestamptz
) RETURNS bytea
LANGUAGE plpgsql VOLATILE
AS $$
DECLARE
    v_digest bytea := sha256(p_from_digest || convert_to(p_rows, 'UTF8'));
BEGIN
    INSERT INTO score.commit (board_id, last_revision, first_revision, digest, committed_at)
    VALUES (p_board_id, p_to_revision, p_from_revision + 1, v_digest, p_now);
    UPDATE score.board SET revision = p_to_revision, digest = v_digest WHERE board_id = p_board_id;
    RETURN v_digest;
END
$$;

-- Freezes the standings of all periods of a locked board that are due.
CREATE FUNCTION score.freeze_due(p_board_id text, p_revision bigint, p_now timestamptz) RETURNS void
LANGUAGE sql VOLATILE
AS $$
    UPDATE score.period SET closed_revision = p_revision
    WHERE board_id = p_board_id AND closed_revision IS NULL AND final_at <= p_now
$$;

-- A period that awards may count in, stored or not yet.
CREATE TYPE score.place AS (
    slot integer,
    period_id text,
    kind text,
    number integer, -- NULL for one that is not stored yet.
    starts_at timestamptz,
    ends_at timestamptz,
    closes_at timestamptz,
    final_at timestamptz,
    time_zone text,
    zone_data text,
    is_frozen boolean
);

-- Lists the periods that may hold an instant from p_since on: those that are stored, and those candidates that are not.
-- A period that opens starts where the one before it ended, which is what was stored of it, and not what would be
-- worked out for it today.
CREATE FUNCTION score.list_places(p_board_id text, p_candidates jsonb, p_since timestamptz) RETURNS score.place[]
LANGUAGE sql VOLATILE
AS $$
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
    FROM (SELECT row_number() OVER (ORDER BY number, starts_at, kind)::integer AS slot, place.* FROM place
          WHERE starts_at < ends_at) places
$$;

-- Adds what users have gained to their standings, to that of all time, which comes first, and to those of periods. Answers
-- what the totals were before, those of a user beside each other, and of each the latest award; and does nothing where a
-- total of all time would pass 2^53-1. The users are distinct.
-- Standings are looked up, and then changed where they lie, because nothing moves them meanwhile: whoever changes
-- standings has locked the board. INSERT ON CONFLICT takes as long and writes more WAL, for it locks each row first.
CREATE FUNCTION score.add_points(
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
BEGIN
    WITH found AS MATERIALIZED (
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
    ), overflow AS (
        SELECT FROM found WHERE period = 'all_time' AND total + points > 9007199254740991
    ), changed AS (
        UPDATE score.standing s
        SET total = f.total + f.points, reached_revision = f.revision, changed_revision = NULL,
            last_award_revision = NULL
        FROM found f WHERE s.ctid = f.place AND NOT EXISTS (SELECT FROM overflow)
    ), added AS (
        INSERT INTO score.standing (board_id, period, user_id, total, reached_revision)
        SELECT p_board_id, period, user_id, points, revision
        FROM found WHERE place IS NULL AND NOT EXISTS (SELECT FROM overflow)
    )
    SELECT array_agg(total), array_agg(award_revision) INTO totals, award_revisions FROM found;
END
$$;

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
    LOOP
        IF p_occurred_ats IS NULL THEN
            -- All count in the same periods, so that a user gains the same in each of them.
            WITH fresh AS (
                SELECT g.*, v_first_revision + row_number() OVER (ORDER BY ordinal) AS revision
                FROM unnest(p_award_ids, p_user_ids, p_points, p_action_types, p_action_ids,
                            p_request_ids, p_callers, p_trace_ids)
                    WITH ORDINALITY AS g (award_id, user_id, points, action_type, action_id,
                                          request_id, caller, trace_id, ordinal)
                WHERE award_id <> ALL (v_known) AND ordinal <> ALL (v_failed)
            ), numbered AS MATERIALIZED (
                SELECT fresh.*,
                       dense_rank() OVER (ORDER BY user_id) AS user_number,
                       sum(points) OVER (PARTITION BY user_id ORDER BY ordinal) AS points_so_far,
                       lag(revision) OVER (PARTITION BY user_id ORDER BY ordinal) AS revision_before
                FROM fresh
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
                SELECT n.*, b.totals[v_width * user_number - v_width + 1] + points_so_far AS total_after,
                       coalesce(revision_before, b.award_revisions[v_width * user_number - v_width + 1])
                           AS previous_revision,
                       CASE WHEN v_width > 1 THEN ARRAY(
                           SELECT points_so_far + unnest(
                               b.totals[v_width * user_number - v_width + 2 : v_width * user_number])
                       ) END AS period_totals
                FROM numbered n CROSS JOIN before b
            ), overflow AS (
                SELECT min(ordinal) AS ordinal
                FROM totalled WHERE total_after > 9007199254740991 GROUP BY user_id
            ), recorded AS (
                INSERT INTO score.award (board_id, award_id, revision, user_id, action_type, action_id, points,
                                         total_after, request_id, caller, trace_id, awarded_at, period_numbers,
                                         period_totals, previous_revision)
                SELECT p_board_id, award_id, revision, user_id, action_type, action_id, points,
                       total_after, request_id, caller, trace_id, ledger_time, v_numbers, period_totals,
                       previous_revision
                FROM totalled
                WHERE NOT EXISTS (SELECT FROM overflow)
            )
            SELECT (SELECT array_agg(ordinal) FROM overflow),
                   max(revision),
                   array_agg(ordinal ORDER BY revision),
                   array_agg(revision ORDER BY revision),
                   array_agg(total_after ORDER BY revision),
                   -- The canonical text of a row. Neither ids nor SPIFFE ids hold a tab or a newline.
                   string_agg(concat_ws(E'\t', revision, award_id, user_id, action_type, action_id, points,
                                        total_after, request_id, caller, trace_id, v_time,
                                        format(v_period_text, VARIADIC period_totals)) || E'\n',
                              '' ORDER BY revision),
                   CASE WHEN v_width > 1 THEN ARRAY(
                       SELECT string_agg(
                           user_id || ' ' || b.totals[v_width * (user_number - 1) + place] + points || ' ' || revision,
                           E'\n')
                       FROM gained CROSS JOIN before b CROSS JOIN generate_series(2, v_width) AS place
                       GROUP BY place ORDER BY place
                   ) END
            INTO v_overflowing, to_revision, ordinals, revisions, totals, v_rows, period_lines
            FROM totalled;
        ELSE
            IF v_slots IS NOT NULL THEN
                WITH used AS (
                    SELECT m.moment, p.slot, p.number, p.period_id
                    FROM unnest(v_moments, v_slots) AS m (moment, slot)
                    JOIN unnest(v_places) AS p ON p.slot = m.slot
                    WHERE m.moment IN (
                        SELECT coalesce(occurred_at, ledger_time)
                        FROM unnest(p_award_ids, p_occurred_ats) WITH ORDINALITY AS g (award_id, occurred_at, ordinal)
                        WHERE award_id <> ALL (v_known) AND ordinal <> ALL (v_failed)
                    )
                )
                SELECT array_agg(moment), array_agg(period_id), array_agg(coalesce(number, opening + (
                           -- Those that are not stored have the last slots.
                           SELECT max(number) FROM score.period WHERE board_id = p_board_id), opening))
                INTO v_new_moments, v_period_ids, v_numbers
                FROM (
                    SELECT used.*, dense_rank() OVER (PARTITION BY number IS NULL ORDER BY slot) AS opening FROM used
                ) numbered;
            END IF;

            WITH fresh AS (
                SELECT *
                FROM unnest(p_award_ids, p_user_ids, p_points, p_action_types, p_action_ids,
                            p_request_ids, p_callers, p_trace_ids, p_occurred_ats)
                    WITH ORDINALITY AS g (award_id, user_id, points, action_type, action_id,
                                          request_id, caller, trace_id, occurred_at, ordinal)
                WHERE award_id <> ALL (v_known) AND ordinal <> ALL (v_failed)
            ), totalled AS MATERIALIZED (
                SELECT fresh.*,
                       dense_rank() OVER (ORDER BY user_id) AS user_number,
                       v_first_revision + row_number() OVER (ORDER BY ordinal) AS revision,
                       coalesce((SELECT s.total FROM score.standing s
                                 WHERE s.board_id = p_board_id AND s.period = 'all_time'
                                   AND s.user_id = fresh.user_id), 0)
                           + sum(points) OVER (PARTITION BY user_id ORDER BY ordinal) AS total_after
                FROM fresh
            ), overflow AS (
                SELECT min(ordinal) AS ordinal
                FROM totalled WHERE total_after > 9007199254740991 GROUP BY user_id
            ), counted AS MATERIALIZED (
                -- Each award in each of its periods, with what its user gains there up to it, and in all.
                SELECT t.ordinal, t.user_id, t.revision, c.number, c.period_id,
                       sum(t.points) OVER (PARTITION BY c.number, t.user_number ORDER BY t.ordinal) AS points_so_far,
                       sum(t.points) OVER (PARTITION BY c.number, t.user_number) AS points_in_all
                FROM totalled t
                JOIN unnest(v_new_moments, v_numbers, v_period_ids) AS c (moment, number, period_id)
                    ON c.moment = coalesce(t.occurred_at, ledger_time)
                WHERE NOT EXISTS (SELECT FROM overflow)
            ), gained AS MATERIALIZED (
                SELECT period_id, user_id, points_in_all AS points, revision
                FROM counted WHERE points_so_far = points_in_all
            ), moved AS (
                -- No total of a period is greater than that of all time, so none overflows.
                INSERT INTO score.standing AS s (board_id, period, user_id, total, reached_revision)
                SELECT p_board_id, period_id, user_id, points, revision FROM gained
                ON CONFLICT (board_id, period, user_id)
                DO UPDATE SET total = s.total + excluded.total, reached_revision = excluded.reached_revision,
                              changed_revision = NULL
                RETURNING period, user_id, total, reached_revision
            ), counts AS (
                -- Ordered before, because ordering each of the aggregates costs as much as all the rest.
                SELECT ordinal, array_agg(number) AS period_numbers, array_agg(total) AS period_totals,
                       string_agg(period_id || '=' || total, ',') AS period_text
                FROM (
                    SELECT c.ordinal, c.number, c.period_id, m.total - c.points_in_all + c.points_so_far AS total
                    FROM counted c
                    JOIN moved m ON m.period = c.period_id AND m.user_id = c.user_id
                    ORDER BY c.ordinal, c.number
                ) ordered
                GROUP BY ordinal
            ), made AS MATERIALIZED (
                SELECT t.*, c.period_numbers, c.period_totals, c.period_text,
                       coalesce(lag(t.revision) OVER (PARTITION BY t.user_number ORDER BY t.revision), (
                           SELECT coalesce(s.last_award_revision, s.reached_revision) FROM score.standing s
                           WHERE s.board_id = p_board_id AND s.period = 'all_time' AND s.user_id = t.user_id
                       ), 0) AS previous_revision
                FROM totalled t LEFT JOIN counts c ON c.ordinal = t.ordinal
            ), recorded AS (
                INSERT INTO score.award (board_id, award_id, revision, user_id, action_type, action_id, points,
                                         total_after, request_id, caller, trace_id, awarded_at, occurred_at,
                                         period_numbers, period_totals, previous_revision)
                SELECT p_board_id, award_id, revision, user_id, action_type, action_id, points,
                       total_after, request_id, caller, trace_id, ledger_time, occurred_at,
                       period_numbers, period_totals, previous_revision
                FROM made
                WHERE NOT EXISTS (SELECT FROM overflow)
                ORDER BY revision
            ), folded AS (
                INSERT INTO score.standing (board_id, period, user_id, total, reached_revision)
                SELECT p_board_id, 'all_time', user_id, max(total_after), max(revision)
                FROM totalled
                WHERE NOT EXISTS (SELECT FROM overflow)
                GROUP BY user_id
                ON CONFLICT (board_id, period, user_id)
                DO UPDATE SET total = excluded.total, reached_revision = excluded.reached_revision,
                              changed_revision = NULL, last_award_revision = NULL
            ), lines AS (
                SELECT period, string_agg(user_id || ' ' || total || ' ' || reached_revision, E'\n') AS lines
                FROM moved GROUP BY period
            )
            SELECT (SELECT array_agg(ordinal) FROM overflow),
                   max(revision),
                   array_agg(ordinal ORDER BY revision),
                   array_agg(revision ORDER BY revision),
                   array_agg(total_after ORDER BY revision),
                   -- The canonical text of a row. Neither ids nor SPIFFE ids hold a tab or a newline.
                   string_agg(concat_ws(E'\t', revision, award_id, user_id, action_type, action_id, points,
                                        total_after, request_id, caller, trace_id, v_time,
                                        CASE WHEN num_nonnulls(occurred_at, period_text) > 0 THEN
                                            coalesce(score.to_micros(occurred_at)::text, '')
                                            || E'\t' || coalesce(period_text, '')
                                        END) || E'\n',
                              '' ORDER BY revision),
                   (SELECT array_agg(period) FROM lines),
                   (SELECT array_agg(lines) FROM lines)
            INTO v_overflowing, to_revision, ordinals, revisions, totals, v_rows, period_ids, period_lines
            FROM made;
        END IF;
        EXIT WHEN v_overflowing IS NULL;
        overflowing := overflowing || v_overflowing;
        v_failed := v_failed || v_overflowing;
    END LOOP;

    IF p_occurred_ats IS NULL AND to_revision IS NOT NULL THEN
        period_ids := v_period_ids;
    END IF;
    IF period_ids IS NOT NULL AND EXISTS (SELECT FROM unnest(v_places) p WHERE p.number IS NULL) THEN
        INSERT INTO score.period (board_id, period_id, kind, number, starts_at, ends_at, closes_at, final_at,
                                  time_zone, zone_data, opened_revision)
        SELECT p_board_id, p.period_id, p.kind, n.number, p.starts_at, p.ends_at, p.closes_at, p.final_at,
               p.time_zone, p.zone_data,
               (SELECT min(a.revision) FROM score.award a
                WHERE a.board_id = p_board_id AND a.revision > from_revision AND n.number = ANY (a.period_numbers))
        FROM unnest(v_places) p
        JOIN (SELECT DISTINCT u.period_id, u.number FROM unnest(v_period_ids, v_numbers) AS u (period_id, number)) n
            ON n.period_id = p.period_id
        WHERE p.number IS NULL;
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

-- Servers of the version before know nothing of periods: on a board with settings, or one that would get them, their
-- functions are as good as missing, which is what they take for a database that cannot serve them.
CREATE FUNCTION score.require_no_settings(p_board_id text) RETURNS void
LANGUAGE plpgsql VOLATILE
SET jit = off
SET enable_seqscan = off
AS $$
DECLARE
    v_board record;
BEGIN
    LOOP
        SELECT * INTO v_board FROM score.lock_board(p_board_id);
        IF v_board.settings_revision <> 0 THEN
            RAISE EXCEPTION 'the board counts in periods, which this version of the service cannot'
                USING ERRCODE = 'undefined_function';
        END IF;
        EXIT WHEN v_board.revision IS NOT NULL;
        PERFORM score.make_board(p_board_id, 0, v_board.ledger_time);
    END LOOP;
END
$$;

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
    OUT from_revision bigint,
    OUT from_digest bytea,
    OUT to_revision bigint,
    OUT to_digest bytea,
    OUT ordinals bigint[],
    OUT revisions bigint[],
    OUT totals bigint[],
    OUT rejected bigint[]
)
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    PERFORM score.require_no_settings(p_board_id);
    SELECT r.from_revision, r.from_digest, r.to_revision, r.to_digest, r.ordinals, r.revisions, r.totals, r.overflowing
    INTO from_revision, from_digest, to_revision, to_digest, ordinals, revisions, totals, rejected
    FROM score.record_awards(
        p_board_id, p_award_ids, p_user_ids, p_points, p_action_types, p_action_ids, p_request_ids, p_callers,
        p_trace_ids, NULL, 0, 'current', '-infinity', 'infinity', '[]') r;
END
$$;

CREATE OR REPLACE FUNCTION score.record_awards(
    p_board_id text,
    p_award_ids uuid[],
    p_user_ids text[],
    p_points bigint[],
    p_action_types text[],
    p_action_ids text[],
    p_request_ids uuid[],
    p_callers text[],
    p_trace_ids text[]
) RETURNS TABLE (
    from_revision bigint,
    from_digest bytea,
    to_revision bigint,
    to_digest bytea,
    award_id uuid,
    revision bigint,
    commit_revision bigint,
    commit_digest bytea,
    user_id text,
    points bigint,
    total_after bigint,
    action_type text,
    action_id text,
    request_id uuid
)
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
DECLARE
    v_batch record;
BEGIN
    -- The first of each id.
    SELECT r.* INTO v_batch
    FROM (
        SELECT array_agg(award_id ORDER BY ordinal) AS award_ids, array_agg(user_id ORDER BY ordinal) AS user_ids,
               array_agg(points::integer ORDER BY ordinal) AS points,
               array_agg(action_type ORDER BY ordinal) AS action_types,
               array_agg(action_id ORDER BY ordinal) AS action_ids,
               array_agg(request_id ORDER BY ordinal) AS request_ids, array_agg(caller ORDER BY ordinal) AS callers,
               array_agg(trace_id ORDER BY ordinal) AS trace_ids
        FROM (
            SELECT DISTINCT ON (award_id) *
            FROM unnest(p_award_ids, p_user_ids, p_points, p_action_types, p_action_ids, p_request_ids, p_callers,
                        p_trace_ids)
                WITH ORDINALITY AS g (award_id, user_id, points, action_type, action_id, request_id, caller, trace_id,
                                      ordinal)
            ORDER BY award_id, ordinal
        ) given
    ) batch
    CROSS JOIN LATERAL score.record_awards(
        p_board_id, award_ids, user_ids, batch.points, action_types, action_ids, request_ids, callers, trace_ids) r;
    RETURN QUERY
    SELECT v_batch.from_revision, v_batch.from_digest, v_batch.to_revision, v_batch.to_digest,
           g.award_id, a.revision, c.last_revision, c.digest,
           a.user_id, a.points, a.total_after, a.action_type, a.action_id, a.request_id
    FROM unnest(p_award_ids) WITH ORDINALITY AS g (award_id, ordinal)
    LEFT JOIN score.award a ON a.board_id = p_board_id AND a.award_id = g.award_id
    LEFT JOIN LATERAL (
        SELECT last_revision, digest FROM score.commit
        WHERE board_id = p_board_id AND last_revision >= a.revision
        ORDER BY last_revision LIMIT 1
    ) c ON true
    ORDER BY g.ordinal;
END
$$;

-- Gives a board other settings by an entry of its ledger, and makes the board if there is none. Nothing is done, and
-- is_stale answered, where the settings are not those of p_settings_revision any more.
CREATE FUNCTION score.save_settings(
    p_board_id text,
    p_settings_revision bigint,
    p_settings text,
    p_actor text,
    p_request_id uuid,
    p_trace_id text,
    OUT is_stale boolean,
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
    v_board record;
BEGIN
    LOOP
        SELECT * INTO v_board FROM score.lock_board(p_board_id);
        is_stale := v_board.settings_revision <> p_settings_revision;
        IF is_stale THEN
            RETURN;
        END IF;
        EXIT WHEN v_board.revision IS NOT NULL;
        PERFORM score.make_board(p_board_id, p_settings_revision, v_board.ledger_time);
    END LOOP;
    PERFORM score.freeze_due(p_board_id, v_board.revision, v_board.ledger_time);
    from_revision := v_board.revision;
    from_digest := v_board.digest;
    to_revision := from_revision + 1;
    to_digest := score.add_commit(
        p_board_id, from_revision, from_digest, to_revision,
        score.add_entry(p_board_id, to_revision, 'settings', p_actor, p_request_id, p_trace_id,
                        v_board.ledger_time, p_settings),
        v_board.ledger_time);
    UPDATE score.board SET settings_revision = to_revision WHERE board_id = p_board_id;
END
$$;

-- Gives boards other settings, and new boards a default, NULL for the one that there is: all of it or none. Answers
-- whether that was done; it is not where a board, or the default, has other settings now than were read before, or
-- more periods were opened meanwhile. The ids are distinct and in order, so that two of these do not wait for each other.
CREATE FUNCTION score.apply_settings(
    p_board_ids text[],
    p_settings_revisions bigint[],
    p_opened_periods integer[],
    p_settings text[],
    p_default_version bigint,
    p_default_settings text,
    p_actor text,
    p_request_id uuid,
    p_trace_id text
) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET jit = off
SET enable_seqscan = off
AS $$
DECLARE
    v_board record;
BEGIN
    FOR v_board IN
        SELECT * FROM unnest(p_board_ids, p_settings_revisions, p_opened_periods, p_settings)
            AS boards (board_id, settings_revision, opened_periods, settings)
    LOOP
        PERFORM score.lock_board(v_board.board_id);
        IF v_board.opened_periods <> coalesce(
            (SELECT max(number) FROM score.period WHERE board_id = v_board.board_id), 0
        ) OR (
            SELECT is_stale FROM score.save_settings(
                v_board.board_id, v_board.settings_revision, v_board.settings, p_actor, p_request_id, p_trace_id)
        ) THEN
            RAISE EXCEPTION USING ERRCODE = 'LRSTL';
        END IF;
    END LOOP;
    IF p_default_settings IS NOT NULL THEN
        INSERT INTO score.default_settings (version, settings, actor, saved_at)
        VALUES (p_default_version, p_default_settings, p_actor, score.ledger_clock())
        ON CONFLICT DO NOTHING;
        IF NOT FOUND THEN
            RAISE EXCEPTION USING ERRCODE = 'LRSTL';
        END IF;
    END IF;
    RETURN true;
EXCEPTION WHEN SQLSTATE 'LRSTL' THEN  -- Which undoes what was written here.
    RETURN false;
END
$$;

-- Freezes the standings of the periods of a board that are due, where no award does.
CREATE FUNCTION score.freeze_periods(p_board_id text) RETURNS void
LANGUAGE sql VOLATILE
SET jit = off
SET enable_seqscan = off
AS $$
    SELECT score.freeze_due(p_board_id, b.revision, b.ledger_time) FROM score.lock_board(p_board_id) b
$$;

-- Writes up to p_limit of the final standings of a frozen period after a rank into its result, unless some are there,
-- and answers those that are: the last rank of them, and a line of rank, user id, total and reached revision
-- each; and the digest of the commit at which the period was frozen, which tells histories apart.
-- Whoever has no points left is left out. The digest alone where there are no more, and nulls where the period is not
-- frozen or has its entry.
-- The board is not locked: nothing changes standings that are frozen, so whoever does this writes the same.
CREATE FUNCTION score.archive_page(
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
    JOIN score.commit c ON c.board_id = p.board_id AND c.last_revision = p.closed_revision
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
        SELECT p_board_id, v_number, p_after_rank + row_number() OVER (ORDER BY total DESC, reached_revision),
               user_id, total, reached_revision
        FROM (
            SELECT user_id, total, reached_revision FROM score.standing
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
CREATE FUNCTION score.close_period(
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
    JOIN score.commit c ON c.board_id = p.board_id AND c.last_revision = p.closed_revision
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
CREATE FUNCTION score.forget_standings(
    p_board_id text,
    p_period_id text,
    p_after_user_id text,
    p_limit bigint,
    OUT removed bigint,
    OUT last_user_id text
)
LANGUAGE sql VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
SET enable_seqscan = off
AS $$
    WITH page AS MATERIALIZED (
        SELECT user_id FROM score.standing
        WHERE board_id = p_board_id AND period = p_period_id AND user_id > p_after_user_id
          AND EXISTS (SELECT FROM score.period
                      WHERE board_id = p_board_id AND period_id = p_period_id AND entry_revision IS NOT NULL)
        ORDER BY user_id LIMIT p_limit
    ), removed AS (
        DELETE FROM score.standing s USING page
        WHERE s.board_id = p_board_id AND s.period = p_period_id AND s.user_id = page.user_id
        RETURNING s.user_id
    ), emptied AS (
        UPDATE score.period SET has_standings = false
        WHERE board_id = p_board_id AND period_id = p_period_id AND entry_revision IS NOT NULL
          AND (SELECT count(*) FROM removed) < p_limit
    )
    SELECT count(*), max(user_id) FROM removed
$$;

-- Removes up to p_limit rows of the results of a kind below their top 1,000, but for the p_keep final periods that
-- ended last. Answers how many. It runs as its owner: the runtime role may remove no others.
CREATE FUNCTION score.prune_results(p_board_id text, p_kind text, p_keep bigint, p_limit bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE
SECURITY DEFINER
SET search_path = pg_catalog, pg_temp
SET jit = off
SET enable_seqscan = off
AS $$
DECLARE
    v_number integer;
    v_removed bigint;
BEGIN
    IF p_keep IS NULL OR p_keep < 1 THEN
        RAISE EXCEPTION 'at least one result of a kind is kept whole';
    END IF;
    SELECT number INTO v_number
    FROM (
        SELECT number, entrants FROM score.period
        WHERE board_id = p_board_id AND kind = p_kind AND entry_revision IS NOT NULL
        ORDER BY ends_at DESC OFFSET p_keep
    ) older
    WHERE entrants > 1000
      AND EXISTS (SELECT FROM score.period_result
                  WHERE board_id = p_board_id AND period_number = older.number AND rank > 1000)
    LIMIT 1;
    IF NOT FOUND THEN
        RETURN 0;
    END IF;
    UPDATE score.period SET is_truncated = true WHERE board_id = p_board_id AND number = v_number;
    DELETE FROM score.period_result
    WHERE board_id = p_board_id AND period_number = v_number AND rank IN (
        SELECT rank FROM score.period_result
        WHERE board_id = p_board_id AND period_number = v_number AND rank > 1000
        ORDER BY rank DESC LIMIT p_limit
    );
    GET DIAGNOSTICS v_removed = ROW_COUNT;
    RETURN v_removed;
END
$$;

-- The runtime role adds entries, defaults and results, and never changes or removes them. Of a period it sets what
-- closing adds, and never what it was opened with.
GRANT SELECT, INSERT ON score.entry, score.default_settings, score.period, score.period_result TO score_runtime;
GRANT UPDATE (closed_revision, entrants, digest, entry_revision) ON score.period TO score_runtime;
DO $$
DECLARE
    v_function regprocedure;
BEGIN
    FOR v_function IN
        SELECT oid FROM pg_proc
        WHERE pronamespace = 'score'::regnamespace AND proname = ANY (ARRAY[
            -- What the service calls.
            'record_awards', 'apply_settings', 'freeze_periods', 'archive_page', 'close_period', 'forget_standings',
            'prune_results',
            -- What these call, with the rights of their caller.
            'require_no_settings', 'ledger_clock', 'to_micros',
            'save_settings', 'lock_board', 'make_board', 'add_entry', 'add_commit', 'add_points', 'freeze_due', 'list_places'
        ])
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM public', v_function);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO score_runtime', v_function);
    END LOOP;
END
$$;
