-- Whose attempts they are, so that they go with the account. Null where the code before this step has counted them.
ALTER TABLE gateway.action_token ADD COLUMN user_id text;
CREATE INDEX action_token_user_id_idx ON gateway.action_token (user_id);

-- Who had an account and has none any more. The ids are in the ledger anyway; nothing says whose they were.
CREATE TABLE gateway.departure (
    user_id text PRIMARY KEY,
    -- Whether the user is to be hidden on every board.
    hides boolean NOT NULL,
    -- Both are null once nothing is left to be done.
    departed_at timestamptz,
    next_try_at timestamptz
);
CREATE INDEX departure_departed_at_idx ON gateway.departure (departed_at, user_id) WHERE departed_at IS NOT NULL;
CREATE INDEX departure_next_try_at_idx ON gateway.departure (next_try_at) WHERE next_try_at IS NOT NULL;

-- Names that were given up, as HMAC-SHA256 of the name in lower case, and the day from which they can be taken again.
CREATE TABLE gateway.freed_name (
    name_hash bytea PRIMARY KEY,
    free_at timestamptz NOT NULL
);
CREATE INDEX freed_name_free_at_idx ON gateway.freed_name (free_at);

-- What an account may do beyond playing.
CREATE TABLE gateway.role (
    user_id text NOT NULL REFERENCES gateway.account ON DELETE CASCADE,
    role text NOT NULL CHECK (role IN ('moderator')),
    granted_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (user_id, role)
);

-- What there is to suspect of accounts that exist, and since when.
CREATE TABLE gateway.suspicion (
    user_id text NOT NULL,
    signal text NOT NULL,
    first_at timestamptz NOT NULL,
    last_at timestamptz NOT NULL,
    count bigint NOT NULL CHECK (count >= 1),
    PRIMARY KEY (user_id, signal)
);
CREATE INDEX suspicion_last_at_idx ON gateway.suspicion (last_at);

-- Makes an account. Each of its statements sees what was committed before it: one that had to wait for the account that
-- gave the name up sees that the name is not free.
CREATE FUNCTION gateway.add_account(
    new_user_id text, new_username text, new_password_hash text, new_name_hash bytea, at timestamptz
) RETURNS void
LANGUAGE plpgsql
AS $$
BEGIN
    INSERT INTO gateway.account (user_id, username, password_hash)
    VALUES (new_user_id, new_username, new_password_hash);
    IF EXISTS (SELECT FROM gateway.freed_name WHERE name_hash = new_name_hash AND free_at > at) THEN
        RAISE unique_violation USING CONSTRAINT = 'account_username_key';
    END IF;
END
$$;

GRANT DELETE ON gateway.account TO gateway_runtime;
GRANT SELECT, INSERT, UPDATE ON gateway.departure TO gateway_runtime;
GRANT SELECT, INSERT, UPDATE, DELETE ON gateway.freed_name TO gateway_runtime;
-- A gateway that was broken into cannot make moderators.
GRANT SELECT ON gateway.role TO gateway_runtime;
GRANT SELECT, INSERT, UPDATE, DELETE ON gateway.suspicion TO gateway_runtime;
