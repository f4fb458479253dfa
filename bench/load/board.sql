-- Standings of so many users, as if they came from a ledger; of that there is only its last commit. So it
-- takes seconds, and the board has to be projected from the standings.
INSERT INTO score.standing (board_id, period, user_id, total, reached_revision)
SELECT %(board_id)s, 'all_time', 'player-' || repeat('0', 4 - length(n::text)) || n,
       1 + floor(random() * 1000000)::bigint, n + 1
FROM generate_series(0, %(members)s::bigint - 1) AS n;

INSERT INTO score.commit (board_id, last_revision, first_revision, digest, committed_at)
VALUES (%(board_id)s, %(members)s, 1, sha256(convert_to(%(board_id)s, 'UTF8')), clock_timestamp());

INSERT INTO score.board (board_id, revision, digest, created_at)
SELECT board_id, last_revision, digest, committed_at FROM score.commit WHERE board_id = %(board_id)s;
