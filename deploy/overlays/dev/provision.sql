-- Make the roles and schemas of Laurel in the current database. Running it again changes nothing but passwords.
-- Before it, in the same transaction, the four passwords (or their SCRAM verifiers) are set as settings:
-- laurel.score_owner_password and so on.
-- Owners run migrations; runtime roles are what the services log in with, and get their rights from the migrations.

DO $$
DECLARE
    role_name text;
BEGIN
    -- Two stacks that start at once on one server take turns.
    PERFORM pg_advisory_xact_lock(hashtextextended('laurel.provision', 0));

    FOREACH role_name IN ARRAY ARRAY['score_owner', 'score_runtime', 'gateway_owner', 'gateway_runtime'] LOOP
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
        EXECUTE format('GRANT score_owner, gateway_owner TO %I', current_user);
    END IF;
END
$$;

ALTER ROLE score_runtime SET statement_timeout = '5s';
ALTER ROLE score_runtime SET lock_timeout = '2s';
ALTER ROLE score_runtime SET idle_in_transaction_session_timeout = '5s';
ALTER ROLE gateway_runtime SET statement_timeout = '5s';
ALTER ROLE gateway_runtime SET lock_timeout = '2s';
ALTER ROLE gateway_runtime SET idle_in_transaction_session_timeout = '5s';

CREATE SCHEMA IF NOT EXISTS score AUTHORIZATION score_owner;
CREATE SCHEMA IF NOT EXISTS gateway AUTHORIZATION gateway_owner;
