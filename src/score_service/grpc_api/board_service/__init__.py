"""`BoardService`: settings of boards, and periods with their results."""
