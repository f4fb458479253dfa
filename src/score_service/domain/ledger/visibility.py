"""Who may see a user on a board. Pure."""

import enum
from typing import Final


class Visibility(enum.Enum):
    """Who may see a user. The values are those of the record."""

    VISIBLE = "visible"
    HIDDEN = "hidden"
    """Nobody: the user is in no list, and counts in no rank and no number of users."""
    SHADOWED = "shadowed"
    """As hidden, but the user is shown the rank that would be."""

    @property
    def flag(self) -> str:
        """Return the letter that stands for it in lines of standings."""
        return self.value[0]

    @classmethod
    def of_flag(cls, flag: str) -> "Visibility":
        """Return what a letter stands for.

        Raises:
            ValueError: it stands for nothing.
        """
        try:
            return _BY_FLAG[flag]
        except KeyError:
            raise ValueError(flag) from None


_BY_FLAG: Final = {visibility.flag: visibility for visibility in Visibility}
