"""The kinds of corrections, as metrics and logs name them. Pure."""

from enum import StrEnum


class CorrectionKind(StrEnum):
    """What was corrected."""

    REVERSAL = "reversal"
    """An award was taken back."""
    VISIBILITY = "visibility"
    """A user was hidden or shown."""
