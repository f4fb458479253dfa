"""Certificates and keys: parsed, read as sets of files, and written as JSON Web Keys."""
