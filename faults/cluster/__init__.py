"""The stack under test: runs each part as a process, with a proxy on every connection."""
