"""What an author may have overlooked in an answer or a unit: that players can hardly type it.

A doubt is no fault, and the answer counts. None of them quotes it.
"""

import re
import unicodedata
from collections.abc import Iterator, Sequence
from enum import StrEnum
from typing import Final

from action_gateway.domain.answer_form import fold

_UNTYPED: Final = frozenset({"Cc", "Cf", "Cn", "Co", "Cs"})
"""General categories: control, format, unassigned, private use, surrogate."""
_STAND_INS: Final = frozenset("\u2800\ufffc\ufffd")
"""A blank that is no space, and what stands for something that got lost."""
_ALIKE: Final = frozenset({"LATIN", "GREEK", "CYRILLIC"})
"""Scripts whose letters look alike (UTS #39, 5.1). The names of their letters begin so."""
_OF_UNITS: Final = frozenset("\u03bc\u03c9")
"""Micro and ohm, as they are folded: they stand with Latin letters in units."""


class Doubt(StrEnum):
    """Why an answer can hardly be typed."""

    UNTYPED_CHARACTER = "holds a character that no keyboard gives, or begins with a combining mark"
    MIXED_SCRIPTS = "mixes Latin, Greek or Cyrillic letters in one word; they look alike"
    OTHER_IN_CAPITALS = "is another answer in capital letters; list that one as well"


def review_answers(answers: Sequence[str]) -> Iterator[tuple[int, Doubt]]:
    """Find what is doubtful about answers or units: the place of each, 1 for the first, and why."""
    for place, answer in enumerate(answers, start=1):
        text = fold(answer)
        if any(map(_is_untyped, text)) or unicodedata.category(text[0]).startswith("M"):
            yield place, Doubt.UNTYPED_CHARACTER
        if any(len(_find_scripts(word)) > 1 for word in re.findall(r"\w+", text)):
            yield place, Doubt.MIXED_SCRIPTS
        if fold(answer.upper()) != text:
            yield place, Doubt.OTHER_IN_CAPITALS


def _is_untyped(character: str) -> bool:
    return unicodedata.category(character) in _UNTYPED or character in _STAND_INS


def _find_scripts(word: str) -> set[str]:
    letters = set(word) - _OF_UNITS
    return {unicodedata.name(letter, "").partition(" ")[0] for letter in letters} & _ALIKE
