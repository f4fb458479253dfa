-- The record: boards, the ledger of awards, its commits and the standings folded from it.
-- Every primary key starts with board_id, and one transaction touches one board.

-- One expression with a bounded repetition would say the same, and take PostgreSQL seven times as long.
CREATE FUNCTION score.is_identifier(p_text text) RETURNS boolean
LANGUAGE sql IMMUTABLE PARALLEL SAFE
RETURN octet_length(p_text) BETWEEN 1 AND 128 AND p_text !~ '[^A-Za-z0-9._:@-]';

CREATE TABLE score.board (
    board_id text COLLATE "C" PRIMARY KEY CHECK (score.is_identifier(board_id)),
    -- Number of entries in the board's ledger.
    revision bigint NOT NULL,
    -- Digest of the board's last commit.
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    created_at timestamptz NOT NULL
) WITH (fillfactor = 10, autovacuum_vacuum_threshold = 1000, autovacuum_vacuum_scale_factor = 0);

CREATE TABLE score.award (
    board_id text COLLATE "C" NOT NULL,
    award_id uuid NOT NULL,
    revision bigint NOT NULL CHECK (revision > 0),
    user_id text COLLATE "C" NOT NULL CHECK (score.is_identifier(user_id)),
    action_type text COLLATE "C" NOT NULL CHECK (score.is_identifier(action_type)),
    action_id text COLLATE "C" NOT NULL CHECK (score.is_identifier(action_id)),
    points bigint NOT NULL CHECK (points BETWEEN 1 AND 1000000),
    total_after bigint NOT NULL CHECK (total_after BETWEEN points AND 9007199254740991),
    request_id uuid NOT NULL,
    caller text NOT NULL,
    trace_id text NOT NULL,
    awarded_at timestamptz NOT NULL,
    PRIMARY KEY (board_id, award_id),
    UNIQUE (board_id, revision)
);

CREATE TABLE score.commit (
    board_id text COLLATE "C" NOT NULL,
    last_revision bigint NOT NULL,
    first_revision bigint NOT NULL CHECK (first_revision BETWEEN 1 AND last_revision),
    digest bytea NOT NULL CHECK (octet_length(digest) = 32),
    committed_at timestamptz NOT NULL,
    PRIMARY KEY (board_id, last_revision)
);

CREATE TABLE score.standing (
    board_id text COLLATE "C" NOT NULL,
    period text COLLATE "C" NOT NULL,
    user_id text COLLATE "C" NOT NULL,
    total bigint NOT NULL CHECK (total BETWEEN 0 AND 9007199254740991),
    reached_revision bigint NOT NULL,
    PRIMARY KEY (board_id, period, user_id)
) WITH (fillfactor = 70);

-- Records a batch of awards of one board and answers, for each of them in order, the ledger row that
-- has its award_id now. An award whose total would pass 2^53-1 has no row and fails alone.
--
-- The board's row is locked before anything is read: at READ COMMITTED each statement of a volatile
-- function has a snapshot of its own, so what follows sees all that earlier commits wrote. The lock also
-- gives an answer made of replays alone a transaction to commit, so that it waits for synchronous
-- standbys as the first answer did.
CREATE FUNCTION score.record_awards(
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
LANGUAGE plpgsql
VOLATILE
-- A generic plan made while the tables are empty is several times slower until they are analyzed.
SET plan_cache_mode = force_custom_plan
AS $$
#variable_conflict use_column
DECLARE
    v_from_revision bigint;
    v_from_digest bytea;
    v_to_revision bigint;
    v_to_digest bytea;
    v_rows text;
    v_overflowing bigint[];
    v_rejected bigint[] := '{}';
    v_now timestamptz;
BEGIN
    SELECT revision, digest INTO v_from_revision, v_from_digest
    FROM score.board WHERE board_id = p_board_id FOR UPDATE;
    IF NOT FOUND THEN
        INSERT INTO score.board (board_id, revision, digest, created_at)
        VALUES (p_board_id, 0, sha256(convert_to(p_board_id, 'UTF8')), clock_timestamp())
        ON CONFLICT DO NOTHING;
        SELECT revision, digest INTO v_from_revision, v_from_digest
        FROM score.board WHERE board_id = p_board_id FOR UPDATE;
    END IF;
    v_now := clock_timestamp();

    -- Once as a rule. Where totals overflow, nothing is written, the first overflowing award of each
    -- user is left out, and the rest is looked at again, so that it fails alone.
    LOOP
        WITH given AS (
            SELECT DISTINCT ON (award_id) *
            FROM unnest(p_award_ids, p_user_ids, p_points, p_action_types, p_action_ids,
                        p_request_ids, p_callers, p_trace_ids)
                WITH ORDINALITY AS g (award_id, user_id, points, action_type, action_id,
                                      request_id, caller, trace_id, ordinal)
            ORDER BY award_id, ordinal
        ), fresh AS (
            SELECT given.*
            FROM given
            WHERE ordinal <> ALL (v_rejected)
              AND NOT EXISTS (SELECT FROM score.award a
                              WHERE a.board_id = p_board_id AND a.award_id = given.award_id)
        ), totalled AS (
            SELECT fresh.*,
                   v_from_revision + row_number() OVER (ORDER BY fresh.ordinal) AS revision,
                   coalesce(s.total, 0) + sum(fresh.points) OVER (
                       PARTITION BY fresh.user_id ORDER BY fresh.ordinal) AS total_after
            FROM fresh
            LEFT JOIN score.standing s
                ON s.board_id = p_board_id AND s.period = 'all_time' AND s.user_id = fresh.user_id
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
            ORDER BY revision
            RETURNING award.*
        ), folded AS (
            INSERT INTO score.standing (board_id, period, user_id, total, reached_revision)
            SELECT p_board_id, 'all_time', user_id, max(total_after), max(revision)
            FROM recorded GROUP BY user_id
            ON CONFLICT (board_id, period, user_id)
            DO UPDATE SET total = excluded.total, reached_revision = excluded.reached_revision
        )
        SELECT (SELECT array_agg(ordinal) FROM overflowing),
               max(revision),
               -- The canonical text of a row. Neither ids nor SPIFFE ids hold a tab or a newline.
               string_agg(concat_ws(E'\t', revision, award_id, user_id, action_type, action_id, points,
                                    total_after, request_id, caller, trace_id,
                                    (extract(epoch FROM awarded_at) * 1000000)::bigint) || E'\n',
                          '' ORDER BY revision)
        INTO v_overflowing, v_to_revision, v_rows
        FROM recorded;
        EXIT WHEN v_overflowing IS NULL;
        v_rejected := v_rejected || v_overflowing;
    END LOOP;

    IF v_to_revision IS NULL THEN
        v_to_revision := v_from_revision;
        v_to_digest := v_from_digest;
    ELSE
        v_to_digest := sha256(v_from_digest || convert_to(v_rows, 'UTF8'));
        INSERT INTO score.commit (board_id, last_revision, first_revision, digest, committed_at)
        VALUES (p_board_id, v_to_revision, v_from_revision + 1, v_to_digest, v_now);
        UPDATE score.board SET revision = v_to_revision, digest = v_to_digest
        WHERE board_id = p_board_id;
    END IF;

    RETURN QUERY
    SELECT v_from_revision, v_from_digest, v_to_revision, v_to_digest,
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

-- The runtime role adds to the ledger and its commits and never changes or deletes them.
GRANT USAGE ON SCHEMA score TO score_runtime;
GRANT SELECT, INSERT ON score.award, score.commit TO score_runtime;
GRANT SELECT, INSERT, UPDATE ON score.board, score.standing TO score_runtime;
REVOKE EXECUTE ON FUNCTION score.record_awards FROM public;
GRANT EXECUTE ON FUNCTION score.record_awards TO score_runtime;
