"""The running gateway: opens the parts, wires the application, serves both ports, drains and stops."""
