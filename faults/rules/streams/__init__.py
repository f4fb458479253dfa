"""What must hold of streams, by the rules of their kind."""
