"""The gateway's own tables in PostgreSQL: accounts, sessions, actions, attempts, departures."""
