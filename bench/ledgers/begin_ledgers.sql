-- The keys of awards are made again when all awards are there, which takes a fraction of the time.
ALTER TABLE score.award DROP CONSTRAINT award_pkey, DROP CONSTRAINT award_board_id_revision_key;

INSERT INTO score.board (board_id, revision, digest, created_at)
SELECT board_id, 0, sha256(convert_to(board_id, 'UTF8')), now() FROM unnest(%(board_ids)s::text[]) AS board_id;
