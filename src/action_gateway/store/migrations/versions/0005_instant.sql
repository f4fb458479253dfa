-- Instant actions: nothing is asked for, and each has a rate, which is 0 for puzzles.
ALTER TABLE gateway.action
    ADD COLUMN kind text NOT NULL DEFAULT 'puzzle' CHECK (kind IN ('puzzle', 'instant')),
    ADD COLUMN per_minute integer NOT NULL DEFAULT 0,
    DROP CONSTRAINT action_answers_check,
    ADD CONSTRAINT action_answers_check CHECK (
        (cardinality(answers) >= 1)::integer + (number IS NOT NULL)::integer + (kind = 'instant')::integer = 1
    ),
    ADD CONSTRAINT action_per_minute_check CHECK (per_minute >= 0 AND (per_minute >= 1) = (kind = 'instant'));

COMMENT ON TABLE gateway.action_token IS
    'Action tokens that were answered at least once, and tickets (by award) that came in time for an unknown outcome';
