"""What must hold of the record by itself: of ledgers, their corrections and their periods."""
