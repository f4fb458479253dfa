"""Programs that start a service with something changed in its process: a bug, a wrong clock, a failpoint.

Each is `python -m faults.launchers.NAME WHAT PACKAGE ARGUMENTS…`. It patches what the package uses before the
service starts, so that no setting of the services can break them.
"""
