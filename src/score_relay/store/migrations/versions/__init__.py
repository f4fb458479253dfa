"""One revision a pair of files: the SQL, and the few lines that tell Alembic of it."""
