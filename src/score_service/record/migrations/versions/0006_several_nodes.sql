-- Several nodes: a database with the extension Citus keeps each board on one of its nodes, and goes on without those that
-- are unavailable. These functions do on one server what it needs.

-- Lists where the ledgers of boards stand, as list_heads.sql does, but for the boards on nodes that are unavailable. Each shard is
-- asked by itself, which takes a connection each: only for as long as a node is unavailable.
CREATE FUNCTION score.list_reachable_heads(
    p_after_board_id text,
    p_limit bigint,
    OUT board_id text,
    OUT revision bigint,
    OUT digest bytea
) RETURNS SETOF record
LANGUAGE plpgsql VOLATILE
AS $$
#variable_conflict use_column
BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') THEN
        RETURN QUERY
        SELECT b.board_id, b.revision, b.digest FROM score.board b
        WHERE b.board_id > p_after_board_id
        ORDER BY b.board_id LIMIT p_limit;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT h.board_id, h.revision, decode(h.digest, 'hex')
    FROM run_command_on_shards('score.board', format(
        'SELECT coalesce(json_agg(h), ''[]'') FROM ('
        'SELECT board_id, revision, encode(digest, ''hex'') AS digest FROM %%s '
        'WHERE board_id > %L ORDER BY board_id LIMIT %s) h', p_after_board_id, p_limit)) s
    CROSS JOIN LATERAL json_to_recordset(CASE WHEN s.success THEN s.result ELSE '[]' END::json)
        AS h (board_id text, revision bigint, digest text)
    ORDER BY h.board_id COLLATE "C" LIMIT p_limit;
END
$$;

-- Lists the periods that are due, as list_due_periods.sql does, but for those of boards on nodes that are unavailable.
CREATE FUNCTION score.list_reachable_due_periods(p_limit bigint) RETURNS SETOF score.period
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') THEN
        RETURN QUERY
        SELECT p.* FROM score.period p
        WHERE p.has_standings AND p.final_at <= score.ledger_clock()
        ORDER BY p.final_at LIMIT p_limit;
        RETURN;
    END IF;
    RETURN QUERY
    SELECT p.*
    FROM run_command_on_shards('score.period', format(
        'SELECT coalesce(json_agg(p), ''[]'') FROM ('
        'SELECT * FROM %%s WHERE has_standings AND final_at <= %L ORDER BY final_at LIMIT %s) p',
        score.ledger_clock(), p_limit)) s
    CROSS JOIN LATERAL json_populate_recordset(
        NULL::score.period, CASE WHEN s.success THEN s.result ELSE '[]' END::json) p
    ORDER BY p.final_at LIMIT p_limit;
END
$$;

-- Lists settings that keep it from the client that a wait for a standby was cut short: they hide warnings, or give the words
-- of a node's warning, by which alone it is known, in another language.
CREATE FUNCTION score.find_silent_nodes() RETURNS SETOF text
LANGUAGE plpgsql VOLATILE
AS $$
BEGIN
    IF current_setting('client_min_messages') = 'error' THEN
        RETURN NEXT 'client_min_messages = error';
    END IF;
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') THEN
        RETURN;
    END IF;
    IF current_setting('citus.worker_min_messages') IN ('error', 'fatal', 'panic', 'off') THEN
        RETURN NEXT 'citus.worker_min_messages = ' || current_setting('citus.worker_min_messages');
    END IF;
    -- A node that is unavailable is asked when it is back.
    RETURN QUERY
    SELECT format('lc_messages = %s on %s:%s', n.result, n.nodename, n.nodeport)
    FROM run_command_on_workers('SELECT current_setting(''lc_messages'')') n
    WHERE n.success AND n.result !~ '^(C|POSIX|en)([._]|$)';
END
$$;

REVOKE EXECUTE ON FUNCTION
    score.list_reachable_heads, score.list_reachable_due_periods, score.find_silent_nodes FROM public;
GRANT EXECUTE ON FUNCTION
    score.list_reachable_heads, score.list_reachable_due_periods, score.find_silent_nodes TO score_runtime;
