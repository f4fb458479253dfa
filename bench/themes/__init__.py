"""Themes of the score service: measures that take turns, and the rows that are made of them."""
