"""Makes periods final that are due: archives standings, enters the result, and lets the standings go."""
