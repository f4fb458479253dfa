-- The commits of all boards, each board's in the order in which they end.
SELECT board_id, first_revision, last_revision, digest
FROM score.commit ORDER BY board_id, last_revision
