"""Rebuilds a board's projection from the record, page by page, and again later where that failed."""
