"""Feeds: the ledger of a board, entry by entry, for readers that each go at their own pace."""
