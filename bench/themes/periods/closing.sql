-- A board on which so many users have points in one day, as if they came from a ledger; of that there are only its
-- last entry and commit. The day is over, and not yet due.
INSERT INTO score.standing (board_id, period, user_id, total, reached_revision)
SELECT %(board_id)s, period, 'player-' || repeat('0', 4 - length(n::text)) || n,
       1 + floor(random() * 1000000)::bigint, n + 1
FROM unnest(ARRAY[%(period_id)s, 'all_time']) AS period, generate_series(0, %(members)s::bigint - 1) AS n
WHERE period = %(period_id)s OR n < %(users)s;

INSERT INTO score.entry (board_id, revision, kind, actor, trace_id, entered_at, body)
VALUES (%(board_id)s, %(members)s, 'settings', 'bench', '', clock_timestamp(), %(settings)s);

INSERT INTO score.commit (board_id, last_revision, first_revision, digest, committed_at)
VALUES (%(board_id)s, %(members)s, 1, sha256(convert_to(%(board_id)s, 'UTF8')), clock_timestamp());

INSERT INTO score.board (board_id, revision, digest, created_at, settings_revision)
SELECT board_id, last_revision, digest, committed_at, last_revision
FROM score.commit WHERE board_id = %(board_id)s;

INSERT INTO score.period (board_id, period_id, kind, number, starts_at, ends_at, closes_at, final_at, time_zone,
                          zone_data, opened_revision)
VALUES (%(board_id)s, %(period_id)s, 'day', 1, now() - interval '3 days', now() - interval '2 days',
        now() - interval '1 day', now() + interval '1 day', 'UTC', '2026f', 1);
