"""Watches: a hub a board makes frames of what changed, and hands them to its watchers."""
