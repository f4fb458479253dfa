-- The newest migration that was run.
SELECT version_num FROM relay.alembic_version
