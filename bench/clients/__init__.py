"""Themes of client libraries in other languages, in processes of their own."""
