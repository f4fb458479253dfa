"""Certificates of the server and of callers: parsed, checked, reloaded, and explained to people."""
