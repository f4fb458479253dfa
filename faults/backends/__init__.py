"""Clients of the score service: backends that award points, readers, and watchers."""
