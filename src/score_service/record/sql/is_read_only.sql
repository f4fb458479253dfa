-- Whether the transaction can write nothing: on a standby, or where the server or the role is set so.
SELECT current_setting('transaction_read_only')::boolean AS is_read_only
