-- How many periods of all boards are not final.
SELECT count(*) AS periods FROM score.period WHERE has_standings AND entry_revision IS NULL
