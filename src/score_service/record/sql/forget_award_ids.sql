-- Forgets a page of the ids of deleted awards. The rules stand in the function (migration 0008).
SELECT last_award_id::text, forgotten
FROM score.forget_award_ids(%(board_id)s, %(revision)s, %(after_award_id)s::uuid, %(limit)s)
