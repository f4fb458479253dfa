-- Whether the role that asks may archive awards: the owner of the record may, and the runtime role may not.
SELECT has_function_privilege('score.archive_awards(text, bigint, bytea, text, bigint, text, text)', 'EXECUTE') AS may_archive
