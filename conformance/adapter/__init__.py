"""The client under test: its process, and the commands and answers that it is spoken to in."""
