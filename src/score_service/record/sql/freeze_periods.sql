-- Freezes the standings of a board's periods that are due.
SELECT score.freeze_periods(%(board_id)s)
