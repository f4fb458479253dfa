-- Tells which revision the schema has.
SELECT version_num AS revision
FROM gateway.alembic_version
