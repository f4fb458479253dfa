"""PostgreSQL: a pool whose every wait is bounded, and the migration of a schema."""
