-- Writes a page of the checkpoint of a cut that is to be. The rules stand in the function (migration 0008).
SELECT score.add_checkpoint_lines(
    %(board_id)s, %(revision)s, %(checked_revision)s, %(after_number)s, %(lines)s::text[], %(user_ids)s::text[],
    %(standing_revisions)s::bigint[]
) AS is_written
