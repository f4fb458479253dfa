"""The HTTP edge: routes, bodies, layers around every request, errors to problem documents."""
