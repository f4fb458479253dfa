"""The record in PostgreSQL: the ledger of awards, its commits, the standings, and the schema they live in."""
