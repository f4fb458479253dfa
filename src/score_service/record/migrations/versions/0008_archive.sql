-- The cut: awards up to it are archived. They are in files, and here they may be deleted; all that is left of each is
-- its id and its revision. Whatever reads awards takes those up to the cut for gone, also while their rows are still
-- there.

ALTER TABLE score.board
    -- The last revision of the last commit that is archived; 0 where none is.
    ADD COLUMN archived_revision bigint NOT NULL DEFAULT 0;

-- The ids of awards that were deleted. An id is never awarded again.
CREATE TABLE score.archived_award (
    board_id text COLLATE "C" NOT NULL,
    award_id uuid NOT NULL,
    revision bigint NOT NULL CHECK (revision > 0),
    PRIMARY KEY (board_id, award_id)
);

-- What the ledgers of boards come to at their cuts, which a check of what follows goes on from. Lines of a revision that is
-- not the cut of the board are a draft, or of an earlier cut.
CREATE TABLE score.checkpoint_line (
    board_id text COLLATE "C" NOT NULL,
    -- The cut.
    revision bigint NOT NULL CHECK (revision > 0),
    -- From 1 on, without gaps.
    number bigint NOT NULL CHECK (number > 0),
    line text NOT NULL,
    -- Where it says what a user has of all time.
    user_id text COLLATE "C",
    -- Then the latest award of the user up to the cut that was not taken back; 0 if there is none.
    standing_revision bigint CHECK (standing_revision BETWEEN 0 AND revision),
    PRIMARY KEY (board_id, revision, number),
    CHECK (num_nulls(user_id, standing_revision) IN (0, 2))
);

CREATE INDEX checkpoint_line_by_user ON score.checkpoint_line (board_id, revision, user_id) WHERE user_id IS NOT NULL;

-- Tells which ids the ledger of a board has, or has had. Two indexes of awards begin with board_id. Without statistics, which a
-- young table does not have, the planner takes the other one, reads the whole board for each id, and keeps that
-- plan. Without sorting, only the index of the ids has the rows in the order asked for.
-- An id is looked for among the deleted ones only where the board has a cut, which is found out once, and not at all where
-- all ids are known. It is in one of both places in each snapshot.
CREATE OR REPLACE FUNCTION score.find_recorded(p_board_id text, p_award_ids uuid[]) RETURNS uuid[]
LANGUAGE plpgsql
VOLATILE
SET plan_cache_mode = force_generic_plan
SET jit = off
SET enable_sort = off
AS $$
BEGIN
    RETURN ARRAY(
        SELECT award_id FROM unnest(p_award_ids) AS g (award_id)
        WHERE (SELECT true FROM score.award a
               WHERE a.board_id = p_board_id AND a.award_id BETWEEN g.award_id AND g.award_id
               ORDER BY a.award_id LIMIT 1)
           OR (SELECT archived_revision > 0 FROM score.board WHERE board_id = p_board_id)
              AND (SELECT true FROM score.archived_award a
                   WHERE a.board_id = p_board_id AND a.award_id BETWEEN g.award_id AND g.award_id
                   ORDER BY a.award_id LIMIT 1)
    );
END
$$;

-- Finds an award after the cut by its id. Without sorting, no other index is taken, see find_recorded.
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
      AND a.revision > (SELECT archived_revision FROM score.board WHERE board_id = p_board_id)
    ORDER BY a.award_id LIMIT 1;
    RETURN v_award;
END
$$;

-- Finds the revision of an archived award by its id. NULL where the award is not archived, or its id is forgotten.
CREATE FUNCTION score.find_archived_award(p_board_id text, p_award_id uuid) RETURNS bigint
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
SET jit = off
SET enable_sort = off
AS $$
DECLARE
    v_cut bigint := (SELECT archived_revision FROM score.board WHERE board_id = p_board_id);
BEGIN
    IF v_cut > 0 THEN
        RETURN coalesce(
            (SELECT revision FROM score.archived_award
             WHERE board_id = p_board_id AND award_id BETWEEN p_award_id AND p_award_id
             ORDER BY award_id LIMIT 1),
            (SELECT CASE WHEN revision <= v_cut THEN revision END FROM score.award
             WHERE board_id = p_board_id AND award_id BETWEEN p_award_id AND p_award_id
             ORDER BY award_id LIMIT 1)
        );
    END IF;
    RETURN NULL;
END
$$;

-- Finds what a user had of all time at a cut. NULL if the user had no award by then.
CREATE FUNCTION score.find_checkpoint_line(p_board_id text, p_revision bigint, p_user_id text)
RETURNS score.checkpoint_line
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
SET jit = off
SET enable_sort = off
AS $$
DECLARE
    v_line score.checkpoint_line;
BEGIN
    SELECT l.* INTO v_line FROM score.checkpoint_line l
    WHERE l.board_id = p_board_id AND l.revision BETWEEN p_revision AND p_revision
      AND l.user_id BETWEEN p_user_id AND p_user_id
    ORDER BY l.revision, l.user_id LIMIT 1;
    RETURN v_line;
END
$$;

-- Finds the latest award of a user before one of them, which is after the cut: of all time, or of those that count in a
-- period. None that was taken back, unless p_with_reversed says otherwise, and none of those excepted, which are in order.
-- NULL if there is none.
-- Of what is up to the cut the checkpoint tells the latest one that stands. Of one that was taken back it tells only that
-- there is one, by the revision of the cut. Nothing there counts in a period that is not final.
CREATE OR REPLACE FUNCTION score.find_award_before(
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
    v_user_id text := v_award.user_id;
    v_opened_revision bigint := (
        SELECT opened_revision FROM score.period WHERE board_id = p_board_id AND number = p_period_number);
    v_cut bigint := (SELECT archived_revision FROM score.board WHERE board_id = p_board_id);
    v_place integer := cardinality(p_except_revisions);
    v_line score.checkpoint_line;
BEGIN
    LOOP
        v_award := score.find_previous_award(v_award);
        IF v_award.revision IS NULL OR v_award.revision < v_opened_revision OR v_award.revision <= v_cut THEN
            EXIT;
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
    IF v_cut > 0 AND p_period_number IS NULL THEN
        v_line := score.find_checkpoint_line(p_board_id, v_cut, v_user_id);
        RETURN coalesce(nullif(v_line.standing_revision, 0), CASE WHEN p_with_reversed THEN v_line.revision END);
    END IF;
    RETURN NULL;
END
$$;

-- Finds the awards of a board, or of one user on it, after the cut and before a revision: so many, the newest first. It is
-- quick where that is the revision of an award of that user, or one after all of them.
CREATE OR REPLACE FUNCTION score.find_awards_before(
    p_board_id text,
    p_user_id text,
    p_before_revision bigint,
    p_limit bigint
) RETURNS SETOF score.award
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
SET jit = off
SET enable_sort = off
AS $$
DECLARE
    v_cut bigint := (SELECT archived_revision FROM score.board WHERE board_id = p_board_id);
    v_award score.award;
    v_found bigint := 0;
BEGIN
    IF p_user_id IS NULL THEN
        RETURN QUERY
        SELECT a.* FROM score.award a
        WHERE a.board_id = p_board_id AND a.revision < p_before_revision AND a.revision > v_cut
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
    WHILE v_award.revision > v_cut AND v_found < p_limit LOOP
        IF v_award.revision < p_before_revision THEN
            v_found := v_found + 1;
            RETURN NEXT v_award;
        END IF;
        v_award := score.find_previous_award(v_award);
    END LOOP;
END
$$;

-- Finds the last revision of the commits of a board that were made before an instant; the cut if there are none after it, or
-- no instant. Ledger time never steps back, so it takes few steps; but it may have, by little, before it was made so.
CREATE OR REPLACE FUNCTION score.find_revision_before(p_board_id text, p_instant timestamptz) RETURNS bigint
LANGUAGE plpgsql STABLE
SET jit = off
SET enable_seqscan = off
AS $$
DECLARE
    v_low bigint;
    v_high bigint;
    v_commit score.commit;
BEGIN
    SELECT archived_revision, revision INTO v_low, v_high FROM score.board WHERE board_id = p_board_id;
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
    RETURN coalesce(v_low, 0);
END
$$;

-- Waits until nobody else archives awards of a board, to the end of the transaction. Awards do not wait for it.
CREATE FUNCTION score.lock_archive(p_board_id text) RETURNS void
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('archive ' || p_board_id, 0));
END
$$;

-- Tells whether an award of a board up to a revision was taken back after another revision.
CREATE FUNCTION score.has_reversal(p_board_id text, p_award_revision bigint, p_after_revision bigint) RETURNS boolean
LANGUAGE plpgsql STABLE
SET plan_cache_mode = force_generic_plan
SET jit = off
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
BEGIN
    RETURN EXISTS (
        SELECT FROM score.reversal
        WHERE board_id = p_board_id AND revision > p_after_revision AND award_revision <= p_award_revision
    );
END
$$;

-- Deletes up to p_limit lines of checkpoints that are not the one of the cut, and answers how many; 0 where there are none.
CREATE FUNCTION score.discard_checkpoint(p_board_id text, p_limit bigint) RETURNS bigint
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan
SET jit = off
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
DECLARE
    v_cut bigint;
    v_revision bigint;
    v_number bigint;
    v_discarded bigint;
BEGIN
    PERFORM score.lock_archive(p_board_id);
    v_cut := (SELECT archived_revision FROM score.board WHERE board_id = p_board_id);
    SELECT revision, number INTO v_revision, v_number FROM score.checkpoint_line
    WHERE board_id = p_board_id AND revision < v_cut ORDER BY revision, number LIMIT 1;
    IF NOT FOUND THEN
        SELECT revision, number INTO v_revision, v_number FROM score.checkpoint_line
        WHERE board_id = p_board_id AND revision > v_cut ORDER BY revision, number LIMIT 1;
    END IF;
    DELETE FROM score.checkpoint_line
    WHERE board_id = p_board_id AND revision = v_revision AND number < v_number + p_limit;
    GET DIAGNOSTICS v_discarded = ROW_COUNT;
    RETURN v_discarded;
END
$$;

-- Writes lines of the checkpoint of a cut that is to be, after a number. They are made of what the ledger was up to
-- p_checked_revision. Nothing is written, and false answered, where the board has that cut or a later one by now, or an
-- award up to it was taken back since: so nobody who began earlier writes over what is newer.
CREATE FUNCTION score.add_checkpoint_lines(
    p_board_id text,
    p_revision bigint,
    p_checked_revision bigint,
    p_after_number bigint,
    p_lines text[],
    p_user_ids text[], -- NULL for a line that says of no user what the total is of all time, and so is the next.
    p_standing_revisions bigint[]
) RETURNS boolean
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan
SET jit = off
AS $$
BEGIN
    PERFORM score.lock_archive(p_board_id);
    IF score.has_reversal(p_board_id, p_revision, p_checked_revision)
        OR p_revision <= (SELECT archived_revision FROM score.board WHERE board_id = p_board_id) THEN
        RETURN false;
    END IF;
    INSERT INTO score.checkpoint_line AS l (board_id, revision, number, line, user_id, standing_revision)
    SELECT b.board_id, p_revision, p_after_number + n.number, n.line, n.user_id, n.standing_revision
    FROM score.board b
    CROSS JOIN unnest(p_lines, p_user_ids, p_standing_revisions)
        WITH ORDINALITY AS n (line, user_id, standing_revision, number)
    WHERE b.board_id = p_board_id
    ON CONFLICT (board_id, revision, number) DO UPDATE
    SET line = excluded.line, user_id = excluded.user_id, standing_revision = excluded.standing_revision;
    RETURN true;
END
$$;

-- Archives the awards of a board up to the end of a commit: sets the cut, and writes the entry that says so, in a commit of
-- its own. Answers the commit, nulls where there is no such board. Where it may not be, nothing is written, and the
-- problem answered:
-- not_after      the board has this cut or a later one
-- no_commit      no commit ends there with this digest
-- period_open    a period that is not final was opened up to there
-- no_checkpoint  there are not as many lines of its checkpoint as the entry says
-- reversed       an award up to there was taken back after the checkpoint was made
CREATE FUNCTION score.archive_awards(
    p_board_id text,
    p_revision bigint,
    p_digest bytea,
    p_body text,
    p_checked_revision bigint,
    p_actor text,
    p_trace_id text,
    OUT from_revision bigint,
    OUT from_digest bytea,
    OUT to_revision bigint,
    OUT to_digest bytea,
    OUT problem text
)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan
SET jit = off
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
DECLARE
    v_now timestamptz;
    v_lines bigint;
    v_last_line bigint;
BEGIN
    -- Counted before the board is locked. From here on they stay as they are.
    PERFORM score.lock_archive(p_board_id);
    SELECT count(*), max(number) INTO v_lines, v_last_line
    FROM score.checkpoint_line WHERE board_id = p_board_id AND revision = p_revision;

    SELECT b.revision, b.digest, b.ledger_time INTO from_revision, from_digest, v_now
    FROM score.lock_board(p_board_id) b;
    to_revision := from_revision;
    to_digest := from_digest;
    problem := CASE
        WHEN p_revision <= (SELECT archived_revision FROM score.board WHERE board_id = p_board_id) THEN 'not_after'
        WHEN NOT EXISTS (SELECT FROM score.commit
                         WHERE board_id = p_board_id AND last_revision = p_revision AND digest = p_digest)
            THEN 'no_commit'
        WHEN EXISTS (SELECT FROM score.period
                     WHERE board_id = p_board_id AND entry_revision IS NULL AND opened_revision <= p_revision)
            THEN 'period_open'
        WHEN (v_lines, v_last_line) IS DISTINCT FROM
             ((p_body::json ->> 'lines')::bigint, (p_body::json ->> 'lines')::bigint) OR v_lines = 0
            THEN 'no_checkpoint'
        WHEN score.has_reversal(p_board_id, p_revision, p_checked_revision) THEN 'reversed'
    END;
    IF problem IS NOT NULL THEN
        RETURN;
    END IF;
    PERFORM score.freeze_due(p_board_id, from_revision, v_now);
    to_revision := from_revision + 1;
    UPDATE score.board SET archived_revision = p_revision WHERE board_id = p_board_id;
    to_digest := score.add_commit(
        p_board_id, from_revision, from_digest, to_revision,
        score.add_entry(p_board_id, to_revision, 'archived', p_actor, NULL, p_trace_id, v_now, p_body), v_now);
END
$$;

-- Deletes awards of a board up to the cut, and their commits, but for the one at the cut: a page after a revision, of at most
-- p_limit of each. Answers the last revision of the page, NULL where there is nothing more, and how many went. The ids
-- move in the same transaction: so each snapshot finds an id in one of both tables.
-- Awards do not wait for it: nobody else changes rows up to the cut. The revision saves going through what was deleted and
-- is not vacuumed yet.
CREATE FUNCTION score.delete_archived(
    p_board_id text,
    p_after_revision bigint,
    p_limit bigint,
    OUT last_revision bigint,
    OUT deleted bigint
)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan
SET jit = off
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
#variable_conflict use_column
DECLARE
    v_cut bigint;
    v_commits bigint;
BEGIN
    PERFORM score.lock_archive(p_board_id);
    v_cut := (SELECT archived_revision FROM score.board WHERE board_id = p_board_id);
    last_revision := least(v_cut, (
        SELECT a.revision FROM score.award a
        WHERE a.board_id = p_board_id AND a.revision > p_after_revision AND a.revision <= v_cut
        ORDER BY a.revision OFFSET p_limit - 1 LIMIT 1
    ), (
        SELECT c.last_revision FROM score.commit c
        WHERE c.board_id = p_board_id AND c.last_revision > p_after_revision AND c.last_revision < v_cut
        ORDER BY c.last_revision OFFSET p_limit - 1 LIMIT 1
    ));
    INSERT INTO score.archived_award (board_id, award_id, revision)
    SELECT a.board_id, a.award_id, a.revision FROM score.award a
    WHERE a.board_id = p_board_id AND a.revision > p_after_revision AND a.revision <= delete_archived.last_revision
    ON CONFLICT DO NOTHING;
    DELETE FROM score.award a
    WHERE a.board_id = p_board_id AND a.revision > p_after_revision AND a.revision <= delete_archived.last_revision;
    GET DIAGNOSTICS deleted = ROW_COUNT;
    DELETE FROM score.commit c
    WHERE c.board_id = p_board_id AND c.last_revision > p_after_revision
      AND c.last_revision <= delete_archived.last_revision AND c.last_revision < v_cut;
    GET DIAGNOSTICS v_commits = ROW_COUNT;
    deleted := deleted + v_commits;
    IF deleted = 0 THEN
        last_revision := NULL;
    END IF;
END
$$;

-- Forgets ids of deleted awards up to a revision: looks at p_limit ids after one, in order, or at the first ones where that is
-- NULL. Answers the last id of them, NULL where there are no more, and how many were forgotten.
CREATE FUNCTION score.forget_award_ids(
    p_board_id text,
    p_revision bigint,
    p_after_award_id uuid,
    p_limit bigint,
    OUT last_award_id uuid,
    OUT forgotten bigint
)
LANGUAGE plpgsql VOLATILE
SET plan_cache_mode = force_generic_plan
SET jit = off
SET enable_seqscan = off
SET enable_bitmapscan = off
AS $$
DECLARE
    v_award_ids uuid[];
BEGIN
    PERFORM score.lock_archive(p_board_id);
    v_award_ids := ARRAY(
        SELECT award_id FROM score.archived_award
        WHERE board_id = p_board_id AND award_id >= coalesce(p_after_award_id, '00000000-0000-0000-0000-000000000000')
          AND award_id IS DISTINCT FROM p_after_award_id
        ORDER BY award_id LIMIT p_limit
    );
    DELETE FROM score.archived_award
    WHERE board_id = p_board_id AND award_id = ANY (v_award_ids) AND revision <= p_revision;
    GET DIAGNOSTICS forgotten = ROW_COUNT;
    last_award_id := v_award_ids[cardinality(v_award_ids)];
END
$$;

-- Nobody but the owner archives, deletes and forgets.
REVOKE EXECUTE ON FUNCTION
    score.lock_archive, score.has_reversal, score.discard_checkpoint, score.add_checkpoint_lines, score.archive_awards,
    score.delete_archived, score.forget_award_ids, score.find_archived_award, score.find_checkpoint_line
FROM public;
GRANT EXECUTE ON FUNCTION score.find_archived_award, score.find_checkpoint_line TO score_runtime;
GRANT SELECT ON score.archived_award, score.checkpoint_line TO score_runtime;

-- The runtime role sets no cut. Rights to columns are not handed on to the nodes of Citus, where it keeps those to the table.
DO $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') THEN
        REVOKE INSERT, UPDATE ON score.board FROM score_runtime;
        GRANT INSERT (board_id, revision, digest, created_at, settings_revision) ON score.board TO score_runtime;
        GRANT UPDATE (revision, digest, settings_revision) ON score.board TO score_runtime;
    END IF;
END
$$;

-- As 0007 has it, for what is new and what was replaced.
DO $$
DECLARE
    v_name text;
    v_function regprocedure;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') THEN
        RETURN;
    END IF;
    SET LOCAL citus.multi_shard_modify_mode = 'sequential';
    FOREACH v_name IN ARRAY ARRAY['score.archived_award', 'score.checkpoint_line'] LOOP
        PERFORM create_distributed_table(v_name::regclass, 'board_id', colocate_with := 'score.board');
    END LOOP;
    FOR v_function IN
        SELECT oid FROM pg_proc
        WHERE pronamespace = 'score'::regnamespace AND proname IN (
            'find_recorded', 'find_award', 'find_archived_award', 'find_checkpoint_line', 'find_award_before',
            'find_awards_before', 'find_revision_before', 'lock_archive', 'has_reversal', 'discard_checkpoint',
            'add_checkpoint_lines', 'archive_awards', 'delete_archived', 'forget_award_ids')
    LOOP
        EXECUTE format('ALTER FUNCTION %s RESET plan_cache_mode', v_function);
        PERFORM create_distributed_function(v_function);
    END LOOP;
    FOR v_function IN
        SELECT oid FROM pg_proc
        WHERE pronamespace = 'score'::regnamespace AND proname IN (
            'discard_checkpoint', 'add_checkpoint_lines', 'archive_awards', 'delete_archived', 'forget_award_ids')
    LOOP
        PERFORM create_distributed_function(v_function, 'p_board_id', colocate_with := 'score.board');
    END LOOP;
    FOR v_function IN
        SELECT oid FROM pg_proc
        WHERE pronamespace = 'score'::regnamespace AND proname IN (
            'find_award', 'find_archived_award', 'find_checkpoint_line', 'find_award_before', 'find_awards_before',
            'find_revision_before', 'has_reversal')
    LOOP
        EXECUTE format('ALTER FUNCTION %s SET citus.allow_nested_distributed_execution = on', v_function);
    END LOOP;
    FOR v_function IN
        SELECT p.oid FROM pg_proc p
        WHERE p.pronamespace = 'score'::regnamespace AND has_function_privilege('score_runtime', p.oid, 'EXECUTE')
    LOOP
        EXECUTE format('GRANT EXECUTE ON FUNCTION %s TO score_runtime', v_function);
    END LOOP;
END
$$;
