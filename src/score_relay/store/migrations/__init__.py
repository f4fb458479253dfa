"""The history of the relay's schema."""
