"""The table of a run, its JSON, and the picture for the README."""
