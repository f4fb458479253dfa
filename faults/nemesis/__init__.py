"""Fault injection: the kinds of faults, the schedule that draws them from a seed, and what runs it."""
