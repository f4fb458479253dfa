"""Long ledgers: filled by SQL, on a PostgreSQL whose memory is chosen, and measured beside short ones."""
