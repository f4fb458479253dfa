-- The periods of all boards, each board's in the order in which they were opened.
SELECT board_id, period_id, kind,
       (extract(epoch FROM starts_at) * 1000000)::bigint, (extract(epoch FROM ends_at) * 1000000)::bigint,
       (extract(epoch FROM closes_at) * 1000000)::bigint, (extract(epoch FROM final_at) * 1000000)::bigint,
       opened_revision, closed_revision, entrants, digest, entry_revision
FROM score.period ORDER BY board_id, number
