"""Programs that a user runs beside the stack, and may copy."""
