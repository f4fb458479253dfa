-- All periods of a board, and where its ledger stands in the same snapshot. Values may be forged, so instants come as
-- numbers that may be none.
SELECT b.revision AS head_revision, b.digest AS head_digest, b.settings_revision,
       p.period_id, p.kind, p.time_zone, p.zone_data, p.opened_revision, p.closed_revision, p.entrants, p.digest,
       p.entry_revision, p.is_truncated, p.number,
       trim_scale(extract(epoch FROM p.starts_at) * 1000000)::text AS starts_at,
       trim_scale(extract(epoch FROM p.ends_at) * 1000000)::text AS ends_at,
       trim_scale(extract(epoch FROM p.closes_at) * 1000000)::text AS closes_at,
       trim_scale(extract(epoch FROM p.final_at) * 1000000)::text AS final_at
FROM (SELECT) asked
LEFT JOIN score.board b ON b.board_id = %(board_id)s
LEFT JOIN score.period p ON p.board_id = %(board_id)s
ORDER BY p.number
