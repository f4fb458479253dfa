"""The ranks in Redis: what each board's projection holds, the scripts that move it, and the servers asked."""
