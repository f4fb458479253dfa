-- Makes an account. A name that is taken, or was given up not long ago, is rejected.
SELECT gateway.add_account(
    %(user_id)s::text, %(username)s::text, %(password_hash)s::text, %(name_hash)s::bytea, %(now)s::timestamptz
)
