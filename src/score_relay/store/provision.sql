-- Make the roles and the schema of the relay in the current database, beside those of the services. Running it again
-- changes nothing but passwords. Before it, in the same transaction, the passwords (or their SCRAM verifiers) are set as
-- settings: laurel.relay_owner_password and laurel.relay_runtime_password.

DO $$
DECLARE
    role_name text;
BEGIN
    PERFORM pg_advisory_xact_lock(hashtextextended('laurel.provision', 0));
    FOREACH role_name IN ARRAY ARRAY['relay_owner', 'relay_runtime'] LOOP
        IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = role_name) THEN
            EXECUTE format('CREATE ROLE %I LOGIN NOINHERIT', role_name);
        END IF;
        EXECUTE format(
            'ALTER ROLE %I PASSWORD %L', role_name, current_setting(format('laurel.%s_password', role_name))
        );
        EXECUTE format('GRANT CONNECT ON DATABASE %I TO %I', current_database(), role_name);
    END LOOP;

    -- An administrator that is not a superuser may hand a schema only to a role it is a member of.
    IF NOT (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) THEN
        EXECUTE format('GRANT relay_owner TO %I', current_user);
    END IF;
END
$$;

ALTER ROLE relay_runtime SET statement_timeout = '5s';
ALTER ROLE relay_runtime SET lock_timeout = '2s';
ALTER ROLE relay_runtime SET idle_in_transaction_session_timeout = '5s';

CREATE SCHEMA IF NOT EXISTS relay AUTHORIZATION relay_owner;
