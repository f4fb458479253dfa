"""What stands beside ours: another revision in a tree of its own, and a server of others."""
