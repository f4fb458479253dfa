"""The script that reads a board out of Redis."""
