"""The time, as everything that depends on it is given it."""

from collections.abc import Callable

Clock = Callable[[], float]
"""Seconds since 1970-01-01 UTC. `time.time` in production; tests bring one that they move."""
