"""Rate limits by user and address, counted in Redis, and locally while that is unavailable."""
