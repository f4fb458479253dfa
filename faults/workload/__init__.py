"""Runs all clients of a stack at a fixed rate, and waits until they have come to rest."""
