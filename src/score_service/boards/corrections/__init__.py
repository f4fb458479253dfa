"""Corrections: reversals, plans of them, visibility, and the history that they are chosen from."""
