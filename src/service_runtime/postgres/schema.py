"""Whether a service can work with its schema, as its readiness judges. Pure."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Schema:
    """What a service finds of its schema."""

    revision: str
    """The newest migration that was run; empty if none was."""
    is_read_only: bool
    """Whether nothing can be written: on a standby, or where the server, database or role is set so."""

    def find_fault(self, required: str, program: str) -> str | None:
        """Return what keeps a service from working with it, or None.

        Args:
            required: the oldest revision that the code works with.
            program: the name of the service, whose command `migrate` brings the schema up to date.
        """
        if self.revision < required:
            found = self.revision or "nothing"
            return f"has an old schema: it is at {found}, {required} is needed; run `{program} migrate`"
        return "accepts no writes" if self.is_read_only else None
