"""Themes of the gateway, and of overload, which reaches both services."""
