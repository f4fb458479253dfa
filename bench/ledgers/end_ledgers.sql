INSERT INTO score.standing (board_id, period, user_id, total, reached_revision)
SELECT b.board_id, 'all_time', 'player-' || repeat('0', 4 - length(n::text)) || n,
       (1 + n %% 100) * ((b.revision - 1 - n) / %(users)s + 1), b.revision - (b.revision - 1 - n) %% %(users)s
FROM score.board b CROSS JOIN generate_series(0, %(users)s - 1) AS n;

-- Pages of an index in which keys come in no order are between half full and full, seven tenths full on average.
ALTER TABLE score.award ADD CONSTRAINT award_pkey PRIMARY KEY (board_id, award_id) WITH (fillfactor = 69);

ALTER INDEX score.award_pkey RESET (fillfactor);

ALTER TABLE score.award ADD CONSTRAINT award_board_id_revision_key UNIQUE (board_id, revision);

VACUUM ANALYZE score.board, score.award, score.commit, score.standing;
