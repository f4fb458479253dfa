"""The running relay: opens the parts, serves the second port, delivers, and stops."""
