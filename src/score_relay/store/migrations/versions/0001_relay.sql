-- How far each receiver is on each of its boards.
CREATE TABLE relay.delivery (
    receiver text COLLATE "C" NOT NULL,
    board_id text COLLATE "C" NOT NULL,
    -- Of the last entry that was dealt with; NULL before the first.
    position text,
    -- The process that delivers, and until when no other one may.
    holder uuid NOT NULL,
    held_until timestamptz NOT NULL,
    PRIMARY KEY (receiver, board_id)
);

-- Events that a receiver did not take. They are for people to look at, send again and remove.
CREATE TABLE relay.dead_letter (
    receiver text COLLATE "C" NOT NULL,
    board_id text COLLATE "C" NOT NULL,
    revision bigint NOT NULL,
    attempts integer NOT NULL,
    -- What came of the last attempt.
    reason text NOT NULL,
    given_up_at timestamptz NOT NULL DEFAULT now(),
    -- The event, as it was sent.
    event text NOT NULL,
    PRIMARY KEY (receiver, board_id, revision)
);

GRANT USAGE ON SCHEMA relay TO relay_runtime;
GRANT SELECT, INSERT, UPDATE ON relay.delivery TO relay_runtime;
GRANT SELECT, INSERT ON relay.dead_letter TO relay_runtime;
