"""Awarding points: writes of a board are put together and take turns."""
