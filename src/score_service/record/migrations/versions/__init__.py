"""The revisions, in order of their numbers. A revision that has landed is never edited."""
