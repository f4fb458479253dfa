-- The newest migration that was applied.
SELECT version_num FROM score.alembic_version
