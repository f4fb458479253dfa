"""The use cases of a board: awarding points (coalesced writes), and reading standings (shared reads)."""
