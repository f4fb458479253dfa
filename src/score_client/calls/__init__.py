"""The calls: awards that share batches, corrections, entries and watches, and their messages."""
