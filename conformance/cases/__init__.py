"""The rules, each with the scene that shows whether a client keeps it."""
