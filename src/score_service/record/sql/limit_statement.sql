-- Lets the statements of this transaction run longer than others of the role may.
SELECT set_config('statement_timeout', %(milliseconds)s, true)
