-- How many seasons have no entry that closes them.
SELECT count(*) FROM score.period WHERE kind = 'season' AND entry_revision IS NULL
