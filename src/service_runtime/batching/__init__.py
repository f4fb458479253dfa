"""Calls that come at the same time share a batch."""
