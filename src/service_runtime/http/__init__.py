"""Listeners for HTTP, the port for probes and metrics, and addresses of clients."""
