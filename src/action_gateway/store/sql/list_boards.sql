-- Lists the boards that an action pays, or has ever paid, by name.
SELECT DISTINCT board_id
FROM gateway.action
WHERE board_id IS NOT NULL
ORDER BY board_id
