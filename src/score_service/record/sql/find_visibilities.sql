-- Which of some users of a board are not visible to all.
SELECT user_id, visibility FROM score.hidden_user
WHERE board_id = %(board_id)s AND user_id = ANY (%(user_ids)s::text[])
