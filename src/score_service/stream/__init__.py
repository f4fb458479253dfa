"""Watches: a hub for each board and choice of period makes frames of what changed, for its watchers.

The hubs of a board share one subscription to it.
"""
