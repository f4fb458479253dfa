"""PostgreSQL and Valkey as child processes, or external ones: found, started, made ready and stopped."""
