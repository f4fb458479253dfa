"""The gRPC edge: handlers, what surrounds every call, messages to values and back, errors to statuses."""
