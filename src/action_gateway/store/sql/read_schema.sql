-- Which revision the schema has, and whether nothing can be written: on a standby, or where that is set.
SELECT version_num AS revision, current_setting('transaction_read_only')::boolean AS is_read_only
FROM gateway.alembic_version
