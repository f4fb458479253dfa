"""What stops a program before it has begun."""

from collections.abc import Sequence


class SetupError(Exception):
    """The service cannot start as it is set up. Every fault names its place and shows no secret."""

    def __init__(self, faults: Sequence[str]) -> None:
        """Take all faults found, one a line."""
        super().__init__("\n".join(faults))
        self.faults = tuple(faults)
