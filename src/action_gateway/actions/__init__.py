"""Starting and completing puzzles, performing instant actions, and the catalog they come from."""
