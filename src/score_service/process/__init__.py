"""The running service: opens the stores, wires the parts, serves both ports, drains and stops."""
