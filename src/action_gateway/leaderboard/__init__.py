"""The one watch a process holds on the score service, and who is told what it brings."""
