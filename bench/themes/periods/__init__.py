"""Themes about periods that end: made final, and followed by the next one."""
