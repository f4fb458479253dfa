"""Makes periods final that are due: archives standings, enters the result into the ledger, and lets them go."""
