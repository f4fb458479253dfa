"""Starting and completing actions, and the catalog they come from."""
