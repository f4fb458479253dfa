"""Numbers as answers: as people write them, exact, and within what the author tolerates.

A point or a comma is the decimal mark, as ISO 80000-1 has it, and the other one may group digits, as may
spaces, apostrophes and underscores. Who reads `1,000` cannot know which it is; so a number is right if one
of the two readings is.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Context, Decimal
from typing import Final

from action_gateway.domain.answer_form import fold

MAX_DIGITS: Final = 40
MAX_MAGNITUDE: Final = 60
"""Of the power of ten of the first digit and of the last one, either way."""
_MAX_LENGTH: Final = 80
_EXACT: Final = Context(prec=4 * (MAX_DIGITS + MAX_MAGNITUDE))
"""Differences and products of bounded numbers are exact in it."""

_WRITTEN: Final = re.compile(
    r"""
    [+-]?
    (?:
        (?: [0-9]+ | [1-9][0-9]{0,2} (?P<mark>[,\ '_]) [0-9]{2,3} (?: (?P=mark) [0-9]{2,3} )* (?<=[0-9]{3}) )
        (?: \. [0-9]* )?
        |
        \. [0-9]+
    )
    (?: e [+-]? [0-9]{1,3} )?
    """,
    re.VERBOSE,
)
"""With the point as decimal mark. The last group has three digits; those before it may have two (India)."""
_GROUPING: Final = str.maketrans("", "", ", '_")
_SWAPPED: Final = str.maketrans(",.", ".,")
_ARABIC_MARKS: Final = str.maketrans("\u066b\u066c", ".,")


@dataclass(frozen=True, slots=True, repr=False)
class Number:
    """A right number, and how far from it is right still."""

    value: Decimal
    tolerance: Decimal = Decimal(0)
    relative_tolerance: Decimal = Decimal(0)
    """As a share of the value. Of two tolerances the wider one holds."""
    units: Sequence[str] = ()
    """Any one of them may stand before or after the number. All mean the same."""

    def accepts(self, answer: str) -> bool:
        """Return whether an answer says this number."""
        margin = max(self.tolerance, _EXACT.multiply(self.relative_tolerance, self.value).copy_abs())
        return any(
            _EXACT.subtract(given, self.value).copy_abs() <= margin
            for text in self._without_unit(fold(answer))
            for given in read_number(text)
        )

    def _without_unit(self, text: str) -> Iterator[str]:
        yield text
        for unit in map(fold, self.units):
            if text.endswith(unit):
                yield text.removesuffix(unit).rstrip()
            if text.startswith(unit):
                yield text.removeprefix(unit).lstrip()


def read_number(text: str) -> set[Decimal]:
    """Read a folded text as a number: with a point, and with a comma as decimal mark. None if it is neither.

    Digits of any script are digits. What is longer or larger than the bounds is no number.
    """
    if len(text) > _MAX_LENGTH:
        return set()
    text = "".join(_digit(character) for character in text).translate(_ARABIC_MARKS)
    readings = [spelled for spelled in (text, text.translate(_SWAPPED)) if _WRITTEN.fullmatch(spelled)]
    numbers = (Decimal(spelled.translate(_GROUPING)) for spelled in readings)
    return {number for number in numbers if is_bounded(number)}


def is_bounded(number: Decimal) -> bool:
    """Return whether a number is finite, and neither too long, too large nor too small to be an answer."""
    if not number.is_finite():
        return False
    _, digits, exponent = number.as_tuple()
    return (
        len(digits) <= MAX_DIGITS
        and isinstance(exponent, int)
        and max(abs(exponent), abs(number.adjusted())) <= MAX_MAGNITUDE
    )


def _digit(character: str) -> str:
    value = unicodedata.decimal(character, None)
    return character if value is None else str(value)
