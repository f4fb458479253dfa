-- Corrections: awards that are taken back, and users who are hidden.
--
-- Both are entries of the ledger, and their bodies say all that is known of them. The tables here say where these
-- entries are, so that they are found by what they are about.
--
-- A standing is never removed by a correction. Where no award of its user is left, its total is 0, and it counts for
-- nobody; but it keeps the revision that changed it, so that whoever follows the ledger knows what is newer.

-- An award names the one of its user before it, and the standing of all time the latest one, so that the awards of a user
-- are found one after the other. In batches of 250 this takes 6 bytes an award and 0.7 us of CPU, 2 % of what PostgreSQL
-- does for it; an index by user took 41 bytes and 3.5 us. That index is kept for the awards of before, which name none: it is
-- built over all of them now, while awards wait, and nothing is added to it any more.
CREATE FUNCTION score.hash_user(p_board_id text, p_user_id text) RETURNS bigint
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN hashtextextended(p_board_id || ' ' || p_user_id, 0);

CREATE INDEX award_by_user ON score.award (score.hash_user(board_id, user_id), revision)
WHERE previous_revision IS NULL;

-- The awards that were taken back.
CREATE TABLE score.reversal (
    board_id text COLLATE "C" NOT NULL,
    -- Of its entry.
    revision bigint NOT NULL,
    reversal_id uuid NOT NULL,
    -- Of the award.
    award_revision bigint NOT NULL CHECK (award_revision BETWEEN 1 AND revision - 1),
    -- The periods of the award whose results were final by then, and have it still; NULL where there are none.
    final_numbers integer[],
    PRIMARY KEY (board_id, revision),
    UNIQUE (board_id, reversal_id),
    UNIQUE (board_id, award_revision)
);

-- Who may see users that were hidden once. All others are visible.
CREATE TABLE score.visibility (
    board_id text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    visibility text NOT NULL CHECK (visibility IN ('visible', 'hidden', 'shadowed')),
    -- Of the entry that says so.
    revision bigint NOT NULL,
    PRIMARY KEY (board_id, user_id)
);

-- The users whom lists, ranks and counts leave out, wherever they have points.
CREATE VIEW score.hidden_user AS
SELECT board_id, user_id, visibility FROM score.visibility WHERE visibility <> 'visible';

-- The one rule of who is ranked: whoever has points and is visible.
CREATE VIEW score.ranked_standing AS
SELECT board_id, period, user_id, total, reached_revision
FROM score.standing s
WHERE total > 0 AND NOT EXISTS (
    SELECT FROM score.hidden_user h WHERE h.board_id = s.board_id AND h.user_id = s.user_id
);

-- Finds an award by its id. Without sorting, no other index is taken, see find_recorded.
CREATE FUNCTION score.find_award(p_board_id text, p_award_id uuid) RETURNS score.award
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
SET jit = off
SET enable_sort = off
AS $$
BEGIN
    RETURN (
        SELECT a FROM score.award a
        WHERE a.board_id = p_board_id AND a.award_id BETWEEN p_award_id AND p_award_id
        ORDER BY a.award_id LIMIT 1
    );
END
$$;

-- Finds the reversal of an award, or the one with an id, and answers the revision of its entry. NULL if there is none.
-- All indexes of the table begin with board_id. Without sorting, only the one that is meant has the rows in order, so
-- that none of the others is taken while there are no statistics, see find_recorded.
CREATE FUNCTION score.find_reversal(p_board_id text, p_award_revision bigint, p_reversal_id uuid) RETURNS bigint
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
SET jit = off
SET enable_sort = off
AS $$
BEGIN
    RETURN coalesce(
        (SELECT revision FROM score.reversal
         WHERE board_id = p_board_id AND award_revision BETWEEN p_award_revision AND p_award_revision
         ORDER BY award_revision LIMIT 1),
        (SELECT revision FROM score.reversal
         WHERE board_id = p_board_id AND reversal_id BETWEEN p_reversal_id AND p_reversal_id
         ORDER BY reversal_id LIMIT 1)
    );
END
$$;

-- Finds the award with a revision. NULL if there is none.
CREATE FUNCTION score.find_award_at(p_board_id text, p_revision bigint) RETURNS score.award
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
SET jit = off
SET enable_sort = off
AS $$
BEGIN
    RETURN (
        SELECT a FROM score.award a
        WHERE a.board_id = p_board_id AND a.revision BETWEEN p_revision AND p_revision
        ORDER BY a.revision LIMIT 1
    );
END
$$;

-- Finds the award of a user before one of them. NULL if that is the first.
CREATE FUNCTION score.find_previous_award(p_award score.award) RETURNS score.award
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
SET jit = off
SET enable_sort = off
AS $$
DECLARE
    v_hash bigint;
BEGIN
    IF p_award.previous_revision IS NOT NULL THEN
        RETURN (
            SELECT a FROM score.award a
            WHERE a.board_id = p_award.board_id
              AND a.revision BETWEEN p_award.previous_revision AND p_award.previous_revision
            ORDER BY a.revision LIMIT 1
        );
    END IF;
    v_hash := score.hash_user(p_award.board_id, p_award.user_id);
    RETURN (
        SELECT a FROM score.award a
        WHERE (score.hash_user(a.board_id, a.user_id), a.revision) < (v_hash, p_award.revision)
          AND (score.hash_user(a.board_id, a.user_id), a.revision) > (v_hash, 0)
          AND a.board_id = p_award.board_id AND a.user_id = p_award.user_id AND a.previous_revision IS NULL
        ORDER BY score.hash_user(a.board_id, a.user_id) DESC, a.revision DESC LIMIT 1
    );
END
$$;

-- Finds the latest award of a user before one of them: of all time, or of those that count in a period. None that was taken
-- back, unless p_with_reversed says otherwise, and none of those excepted, which are in order. NULL if there is none.
CREATE FUNCTION score.find_award_before(
    p_board_id text,
    p_revision bigint,
    p_period_number integer, -- NULL for all time.
    p_except_revisions bigint[],
    p_with_reversed boolean
) RETURNS bigint
LANGUAGE plpgsql STABLE
AS $$
DECLARE
    v_award score.award := score.find_award_at(p_board_id, p_revision);
    v_opened_revision bigint := (
        SELECT opened_revision FROM score.period WHERE board_id = p_board_id AND number = p_period_number);
    v_place integer := cardinality(p_except_revisions);
BEGIN
    LOOP
        v_award := score.find_previous_award(v_award);
        IF v_award.revision IS NULL OR v_award.revision < v_opened_revision THEN
            RETURN NULL;
        END IF;
        WHILE p_except_revisions[v_place] > v_award.revision LOOP
            v_place := v_place - 1;
        END LOOP;
        CONTINUE WHEN p_except_revisions[v_place] = v_award.revision
            OR p_period_number IS NOT NULL AND p_period_number <> ALL (coalesce(v_award.period_numbers, '{}'));
        IF p_with_reversed OR score.find_reversal(p_board_id, v_award.revision, NULL) IS NULL THEN
            RETURN v_award.revision;
        END IF;
    END LOOP;
END
$$;

-- Finds the awards of a board, or of one user on it, before a revision: so many, the newest first. It is quick where that is
-- the revision of an award of that user, or one after all of them.
CREATE FUNCTION score.find_awards_before(p_board_id text, p_user_id text, p_before_revision bigint, p_limit bigint)
RETURNS SETOF score.award
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
SET jit = off
SET enable_sort = off
AS $$
DECLARE
    v_award score.award;
    v_found bigint := 0;
BEGIN
    IF p_user_id IS NULL THEN
        RETURN QUERY
        SELECT a.* FROM score.award a
        WHERE a.board_id = p_board_id AND a.revision < p_before_revision
        ORDER BY a.revision DESC LIMIT p_limit;
        RETURN;
    END IF;
    v_award := score.find_award_at(p_board_id, p_before_revision);
    IF v_award.user_id = p_user_id THEN
        v_award := score.find_previous_award(v_award);
    ELSE
        v_award := score.find_award_at(p_board_id, (
            SELECT coalesce(last_award_revision, reached_revision) FROM score.standing
            WHERE board_id = p_board_id AND period = 'all_time' AND user_id = p_user_id));
    END IF;
    WHILE v_award.revision IS NOT NULL AND v_found < p_limit LOOP
        IF v_award.revision < p_before_revision THEN
            v_found := v_found + 1;
            RETURN NEXT v_award;
        END IF;
        v_award := score.find_previous_award(v_award);
    END LOOP;
END
$$;

-- Finds the last revision of the commits of a board that were made before an instant; 0 if there are none, or no instant. Ledger time
-- never steps back, so it takes few steps; but it may have, by little, before it was made so.
CREATE FUNCTION score.find_revision_before(p_board_id text, p_instant timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE
SET jit = off
SET enable_seqscan = off
AS $$
DECLARE
    v_low bigint := 0;
    v_high bigint := (SELECT revision FROM score.board WHERE board_id = p_board_id);
    v_commit score.commit;
BEGIN
    WHILE v_low < v_high LOOP
        SELECT c.* INTO v_commit FROM score.commit c
        WHERE c.board_id = p_board_id AND c.last_revision > (v_low + v_high) / 2
        ORDER BY c.last_revision LIMIT 1;
        IF v_commit.committed_at < p_instant THEN
            v_low := v_commit.last_revision;
        ELSE
            v_high := v_commit.first_revision - 1;
        END IF;
    END LOOP;
    RETURN v_low;
END
$$;

-- Tells whether an award stands and a filter selects it, but for its user.
CREATE FUNCTION score.is_selected(
    p_award score.award,
    p_caller text,
    p_action_id text,
    p_action_type text,
    p_recorded_from timestamptz,
    p_recorded_until timestamptz
) RETURNS boolean
LANGUAGE sql STABLE
RETURN (p_caller IS NULL OR (p_award).caller = p_caller)
    AND (p_action_id IS NULL OR (p_award).action_id = p_action_id)
    AND (p_action_type IS NULL OR (p_award).action_type = p_action_type)
    AND (p_recorded_from IS NULL OR (p_award).awarded_at >= p_recorded_from)
    AND (p_recorded_until IS NULL OR (p_award).awarded_at < p_recorded_until)
    AND score.find_reversal((p_award).board_id, (p_award).revision, NULL) IS NULL;

-- Finds so many awards of a board after a revision and up to another one that a filter selects and that stand, in
-- order; all of them where p_limit is NULL. What is NULL does not narrow the filter. Those of a user are walked through,
-- unless they are more than 2,000 of which a part is asked for: then looking at all awards finds enough of them.
CREATE FUNCTION score.select_awards(
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
              AND score.is_selected(a, p_caller, p_action_id, p_action_type, p_recorded_from, p_recorded_until)
            ORDER BY a.revision LIMIT p_limit;
            RETURN;
        END IF;
    END IF;
    RETURN QUERY
    SELECT a.* FROM score.award a
    WHERE a.board_id = p_board_id AND a.revision > v_after AND a.revision <= v_upto
      AND (p_user_id IS NULL OR a.user_id = p_user_id)
      AND score.is_selected(a, p_caller, p_action_id, p_action_type, p_recorded_from, p_recorded_until)
    ORDER BY a.revision LIMIT p_limit;
END
$$;

-- Says what taking back all that a filter selects up to a revision would do: how many awards, points and users, in each
-- row; and of the users among the first 100 of all time now or then those whose rank or total would be another one, by the
-- rank now, or nulls where there are none. Which of equals would be first is only asked where it may matter: not for
-- those who would be below all of these.
CREATE FUNCTION score.plan_reversals(
    p_board_id text,
    p_user_id text,
    p_caller text,
    p_action_id text,
    p_action_type text,
    p_recorded_from timestamptz,
    p_recorded_until timestamptz,
    p_upto_revision bigint
) RETURNS TABLE (
    awards bigint,
    points bigint,
    users bigint,
    user_id text,
    total_before bigint,
    total_after bigint,
    rank_before bigint,
    rank_after bigint
)
LANGUAGE plpgsql STABLE
-- What is joined here is as large as the board, and taken for a few rows.
SET enable_nestloop = off
SET jit = off
SET work_mem = '64MB'
AS $$
#variable_conflict use_column
BEGIN
    RETURN QUERY
    WITH lost AS MATERIALIZED (
        SELECT user_id, count(*) AS awards, sum(points)::bigint AS points, array_agg(revision) AS revisions
        FROM score.select_awards(p_board_id, p_user_id, p_caller, p_action_id, p_action_type, p_recorded_from,
                                 p_recorded_until, 0, p_upto_revision, NULL)
        GROUP BY user_id
    ), now AS MATERIALIZED (
        SELECT s.user_id, s.total, s.reached_revision, s.total - coalesce(l.points, 0) AS total_left, l.revisions,
               row_number() OVER (ORDER BY s.total DESC, s.reached_revision) AS rank
        FROM score.ranked_standing s LEFT JOIN lost l ON l.user_id = s.user_id
        WHERE s.board_id = p_board_id AND s.period = 'all_time'
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
            SELECT user_id, total_left, CASE
                WHEN reached_revision = revisions[cardinality(revisions)]
                    THEN score.find_award_before(p_board_id, reached_revision, NULL, revisions, false)
                ELSE reached_revision
            END AS reached_then
            FROM now WHERE total_left > 0 AND total_left >= (SELECT total_left FROM lowest)
        ) standing
    ), move AS (
        SELECT now.user_id, now.total, now.total_left, now.rank AS rank_before, placed.rank AS rank_after
        FROM now LEFT JOIN placed ON placed.user_id = now.user_id
        WHERE (now.rank <= 100 OR placed.rank <= 100)
          AND (now.rank IS DISTINCT FROM placed.rank OR now.total <> now.total_left)
    )
    SELECT sums.*, move.*
    FROM (SELECT coalesce(sum(awards), 0)::bigint, coalesce(sum(points), 0)::bigint, count(*) FROM lost) sums
    LEFT JOIN move ON true
    ORDER BY move.rank_before;
END
$$;

-- Takes points off standings, which are distinct, and answers what became of each: its total and the revision at which
-- it was reached, that of the latest award that stands. It is looked for only where that award is gone.
CREATE FUNCTION score.take_points(
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
BEGIN
    WITH moved AS (
        UPDATE score.standing s
        SET total = s.total - g.points,
            reached_revision = CASE
                WHEN s.total = g.points THEN 0
                WHEN s.reached_revision <> g.award_revision THEN s.reached_revision
                ELSE score.find_award_before(
                    p_board_id, g.award_revision, nullif(g.period_number, 0), p_gone_revisions, false)
            END,
            changed_revision = g.revision,
            last_award_revision = coalesce(s.last_award_revision, s.reached_revision)
        FROM (
            -- Nothing moves a row meanwhile: whoever does has locked the board.
            SELECT n.*, (
                SELECT o.ctid FROM score.standing o
                WHERE o.board_id = p_board_id AND o.period = n.period AND o.user_id = n.user_id
            ) AS lies_at
            FROM unnest(p_periods, p_period_numbers, p_user_ids, p_points, p_award_revisions, p_revisions)
                WITH ORDINALITY AS n (period, period_number, user_id, points, award_revision, revision, place)
            OFFSET 0
        ) g
        WHERE s.ctid = g.lies_at
        RETURNING g.place, s.total, s.reached_revision
    )
    SELECT array_agg(total ORDER BY place), array_agg(reached_revision ORDER BY place)
    INTO totals, reached_revisions
    FROM moved;
    IF cardinality(totals) IS DISTINCT FROM cardinality(p_user_ids) THEN
        RAISE EXCEPTION 'standings of the board % are missing', p_board_id;
    END IF;
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
CREATE FUNCTION score.reverse_awards(
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

    WITH gone AS MATERIALIZED (
        SELECT a.ordinality AS place, a.award_id, a.revision AS award_revision, a.user_id, a.points, a.period_numbers
        FROM unnest(v_awards) WITH ORDINALITY AS a
    ), counting AS MATERIALIZED (
        -- Each award in all that it counts in.
        SELECT gone.*, 'all_time' AS period_id, 0 AS number, false AS is_frozen FROM gone
        UNION ALL
        SELECT place, award_id, award_revision, user_id, points, period_numbers, (period).period_id, (period).number,
               (period).closed_revision IS NOT NULL
        FROM (
            SELECT gone.*, (
                SELECT p FROM score.period p WHERE p.board_id = p_board_id AND p.number = n.number
            ) AS period
            FROM gone CROSS JOIN unnest(gone.period_numbers) AS n (number)
            OFFSET 0
        ) found
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
    ), listed AS (
        INSERT INTO score.reversal (board_id, revision, reversal_id, award_revision, final_numbers)
        SELECT p_board_id, revision, reversal_id, award_revision, final_numbers FROM made_entry
    )
    SELECT max(revision), string_agg(score.add_entry(
               p_board_id, revision, 'reversal', p_actor, NULL, p_trace_id, v_now,
               format('{"award_id":"%s","award_revision":%s,"final_periods":[%s],"on_behalf_of":%s,"points":%s,'
                      '"reason":%s,"reversal_id":"%s","standings":[%s],"user_id":"%s"}',
                      award_id, award_revision, final_periods, on_behalf_of, points, reason, reversal_id, standings,
                      user_id)), '' ORDER BY revision)
    INTO to_revision, v_rows
    FROM made_entry;
    to_digest := score.add_commit(p_board_id, from_revision, from_digest, to_revision, v_rows, v_now);
END
$$;

-- Says who may see a user of a board, in a commit of one entry, unless that is so already. Answers the commit, nulls where
-- there is no such board; what it was before, NULL where the user never had points; and the revision of the entry that
-- says what it is now, 0 where none does. The entry says what the standings are that the user has: of all time, and in
-- every period that is not final.
CREATE FUNCTION score.set_visibility(
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
    ), moved AS MATERIALIZED (
        UPDATE score.standing s SET changed_revision = to_revision
        FROM (
            SELECT p.number, (
                SELECT o.ctid FROM score.standing o
                WHERE o.board_id = p_board_id AND o.period = p.period AND o.user_id = p_user_id
            ) AS lies_at
            FROM place p OFFSET 0
        ) l
        WHERE s.ctid = l.lies_at
        RETURNING l.number, s.period, s.total, s.reached_revision
    )
    SELECT string_agg(format('["%s",%s,%s]', period, total, reached_revision), ',' ORDER BY number) INTO v_standings
    FROM moved;
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

-- Servers of the versions before know no entries: on a board that has any, or would get settings, their functions are as
-- good as missing.
CREATE OR REPLACE FUNCTION score.require_no_settings(p_board_id text) RETURNS void
LANGUAGE plpgsql VOLATILE
SET jit = off
SET enable_seqscan = off
AS $$
DECLARE
    v_board record;
BEGIN
    LOOP
        SELECT * INTO v_board FROM score.lock_board(p_board_id);
        IF v_board.settings_revision <> 0 OR EXISTS (SELECT FROM score.entry WHERE board_id = p_board_id) THEN
            RAISE EXCEPTION 'the board has periods or corrections, which this version of the service does not know'
                USING ERRCODE = 'undefined_function';
        END IF;
        EXIT WHEN v_board.revision IS NOT NULL;
        PERFORM score.make_board(p_board_id, 0, v_board.ledger_time);
    END LOOP;
END
$$;

-- The runtime role adds reversals, and never changes or removes them. It changes who may see a user, and not who it is.
GRANT SELECT, INSERT ON score.reversal, score.visibility TO score_runtime;
GRANT UPDATE (visibility, revision) ON score.visibility TO score_runtime;
GRANT SELECT ON score.hidden_user, score.ranked_standing TO score_runtime;
DO $$
DECLARE
    v_function regprocedure;
BEGIN
    FOR v_function IN
        SELECT oid FROM pg_proc
        WHERE pronamespace = 'score'::regnamespace
          AND proname = ANY (ARRAY['hash_user', 'find_award', 'find_award_at', 'find_reversal', 'find_previous_award',
                                'find_award_before', 'find_awards_before', 'find_revision_before', 'is_selected',
                                'select_awards', 'plan_reversals', 'take_points', 'reverse_awards', 'set_visibility'])
    LOOP
        EXECUTE format('REVOKE EXECUTE ON FUNCTION %s FROM public', v_function);
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO score_runtime', v_function);
    END LOOP;
END
$$;
