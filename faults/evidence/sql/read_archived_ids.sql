-- The ids of awards that were deleted.
SELECT board_id, award_id::text, revision FROM score.archived_award
