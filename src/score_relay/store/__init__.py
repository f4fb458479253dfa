"""What the relay keeps in PostgreSQL: how far each receiver is, who delivers to it, and its dead letters."""
