"""Keeps the projection equal to the record: catches up, rebuilds, audits."""
