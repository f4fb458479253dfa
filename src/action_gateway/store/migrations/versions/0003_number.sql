-- The number that an action asks for in the place of answers: value, tolerance and relative_tolerance as text, so that they
-- are exact, and units.
ALTER TABLE gateway.action
    ADD COLUMN number jsonb,
    DROP CONSTRAINT action_answers_check,
    ADD CONSTRAINT action_answers_check CHECK ((cardinality(answers) >= 1) <> (number IS NOT NULL));
