-- Has a database with the extension Citus keep its boards on its nodes; any other is left as it is. One statement, because
-- Citus takes no several in one call once it has tables, and so does every step after this one.
--
-- Tables are distributed by their board, and those of a board lie together. What the service calls for one board is sent
-- whole to its node; it plans there for the values that it is given, which is how the node finds its own shard.
DO $$
DECLARE
    v_name text;
    v_function regprocedure;
BEGIN
    IF NOT EXISTS (SELECT FROM pg_extension WHERE extname = 'citus') THEN
        RETURN;
    END IF;
    SET LOCAL citus.multi_shard_modify_mode = 'sequential';
    PERFORM create_distributed_table('score.board', 'board_id');
    FOR v_name IN
        SELECT c.oid::regclass FROM pg_class c JOIN pg_attribute a ON a.attrelid = c.oid AND a.attname = 'board_id'
        WHERE c.relnamespace = 'score'::regnamespace AND c.relkind = 'r' AND c.relname <> 'board'
        ORDER BY c.oid
    LOOP
        PERFORM create_distributed_table(v_name::regclass, 'board_id', colocate_with := 'score.board');
    END LOOP;
    PERFORM create_reference_table('score.default_settings');
    FOR v_name IN
        SELECT oid::regclass FROM pg_class
        WHERE relnamespace = 'score'::regnamespace AND relkind = 'v' ORDER BY oid
    LOOP
        -- Once more, so that all nodes get it.
        EXECUTE format('CREATE OR REPLACE VIEW %s AS %s', v_name, pg_get_viewdef(v_name::regclass));
        EXECUTE format('GRANT SELECT ON %s TO score_runtime', v_name);
    END LOOP;
    FOR v_function IN
        SELECT oid FROM pg_proc WHERE pronamespace = 'score'::regnamespace AND prokind = 'f' ORDER BY oid
    LOOP
        EXECUTE format('ALTER FUNCTION %s RESET plan_cache_mode', v_function);
        PERFORM create_distributed_function(v_function);
    END LOOP;
    FOR v_function IN
        SELECT oid FROM pg_proc
        WHERE pronamespace = 'score'::regnamespace AND (
            proname IN ('freeze_periods', 'archive_page', 'close_period', 'forget_standings', 'prune_results',
                        'select_awards', 'plan_reversals', 'reverse_awards', 'set_visibility')
            -- The newest of them: those of the versions before are not called on several nodes.
            OR proname = 'record_awards' AND 'p_candidates' = ANY (proargnames))
    LOOP
        PERFORM create_distributed_function(v_function, 'p_board_id', colocate_with := 'score.board');
    END LOOP;
    -- Statements call these beside tables of the same board, on the node that has it. They only read.
    FOR v_function IN
        SELECT oid FROM pg_proc
        WHERE pronamespace = 'score'::regnamespace AND proname IN (
            'find_award', 'find_award_at', 'find_previous_award', 'find_award_before', 'find_awards_before',
            'find_reversal', 'find_revision_before', 'select_awards')
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
