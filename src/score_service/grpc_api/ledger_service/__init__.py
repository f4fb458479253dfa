"""`LedgerService`: what was written to a board."""
