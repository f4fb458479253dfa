"""Runs the revisions in one transaction on the connection that the migration hands over."""

from alembic import context

context.configure(
    connection=context.config.attributes["connection"],
    version_table_schema="relay",
    transaction_per_migration=False,
)
with context.begin_transaction():
    context.run_migrations()
