-- Of the last rotation: HMAC-SHA256 of the Idempotency-Key that came with it, under the token that it put out.
-- Null where none came. A rotation by the code before this step leaves an older one, which fits no later token.
ALTER TABLE gateway.session ADD COLUMN rotation_key_hash bytea;
