"""What the ledger of a board holds: positions, entries, awards and corrections, and what they add up to."""
