-- What the public edge keeps. Points are not among it: the ledger of the score service has them.

CREATE TABLE gateway.account (
    user_id text PRIMARY KEY,
    username text NOT NULL,
    password_hash text NOT NULL,
    created_at timestamptz NOT NULL DEFAULT now()
);
-- Names differ by more than letter case. The collation makes that the same rule on every server.
CREATE UNIQUE INDEX account_username_key ON gateway.account (lower(username COLLATE "C"));

-- A login and the refresh tokens that came of it, of which one is good. Only hashes of tokens are kept.
CREATE TABLE gateway.session (
    session_id uuid PRIMARY KEY,
    user_id text NOT NULL REFERENCES gateway.account ON DELETE CASCADE,
    token_hash bytea NOT NULL,
    expires_at timestamptz NOT NULL,
    -- Of the last rotation: who has the token before can make the good one again with the salt.
    predecessor_hash bytea,
    successor_salt bytea,
    rotated_at timestamptz
);
CREATE UNIQUE INDEX session_token_hash_key ON gateway.session (token_hash);
CREATE INDEX session_user_id_idx ON gateway.session (user_id);
CREATE INDEX session_expires_at_idx ON gateway.session (expires_at);

-- The tokens of a session that were good once. One of them coming back may mean theft.
CREATE TABLE gateway.retired_token (
    token_hash bytea PRIMARY KEY,
    session_id uuid NOT NULL REFERENCES gateway.session ON DELETE CASCADE,
    retired_at timestamptz NOT NULL
);
CREATE INDEX retired_token_session_id_idx ON gateway.retired_token (session_id);
CREATE INDEX retired_token_retired_at_idx ON gateway.retired_token (retired_at);

-- Every edition of every action. Action tokens name the edition, so old ones stay.
CREATE TABLE gateway.action (
    action_id text NOT NULL,
    version integer NOT NULL CHECK (version >= 1),
    active boolean NOT NULL,
    place integer NOT NULL,
    title text NOT NULL,
    prompt text NOT NULL,
    answers text[] NOT NULL CHECK (cardinality(answers) >= 1),
    points integer NOT NULL CHECK (points BETWEEN 1 AND 1000000),
    repeat text NOT NULL CHECK (repeat IN ('once', 'daily', 'unlimited')),
    min_ms integer NOT NULL CHECK (min_ms >= 0),
    board_id text,
    created_at timestamptz NOT NULL DEFAULT now(),
    PRIMARY KEY (action_id, version)
);
CREATE UNIQUE INDEX action_active_key ON gateway.action (action_id) WHERE active;

-- Action tokens that were answered at least once.
CREATE TABLE gateway.action_token (
    nonce uuid PRIMARY KEY,
    attempts integer NOT NULL CHECK (attempts >= 1),
    -- The number of the attempt that was right.
    solved_by integer,
    expires_at timestamptz NOT NULL
);
CREATE INDEX action_token_expires_at_idx ON gateway.action_token (expires_at);

GRANT USAGE ON SCHEMA gateway TO gateway_runtime;
GRANT SELECT, INSERT ON gateway.account TO gateway_runtime;
GRANT UPDATE (password_hash) ON gateway.account TO gateway_runtime;
GRANT SELECT, INSERT, UPDATE, DELETE ON gateway.session TO gateway_runtime;
GRANT SELECT, INSERT, DELETE ON gateway.retired_token TO gateway_runtime;
-- A gateway that was broken into cannot set puzzles.
GRANT SELECT ON gateway.action TO gateway_runtime;
GRANT SELECT, INSERT, UPDATE, DELETE ON gateway.action_token TO gateway_runtime;
