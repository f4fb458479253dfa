"""Ledgers in files: what an operator keeps outside of the record, and what may then leave the record."""
