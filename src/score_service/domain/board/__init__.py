"""What a board is: its settings, its periods, and what its ids may look like."""
