"""The exceptions of the relay."""


class RelayError(Exception):
    """Something could not be done."""


class StoreUnavailableError(RelayError):
    """PostgreSQL is unavailable."""


class NotHeldError(RelayError):
    """Another process delivers to this receiver from this board."""
