"""A run of chosen themes: rounds, progress, and what other work took of the machine."""
