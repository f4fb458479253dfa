"""What a projection says when it has moved.

A hint may get lost; the ledger has it all.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Final

from score_service.domain.ledger.position import Position
from score_service.domain.standings.standing import Standing

_SPACES_TO_FLAG: Final = 4
"""In a line that says who may see its user."""


@dataclass(frozen=True, slots=True)
class Hint:
    """What was just applied."""

    before: Position
    after: Position
    standings: tuple[Standing, ...]
    """Of the users that changed, of all time."""
    periods: Mapping[str, tuple[Standing, ...]] = field(default_factory=dict)
    """The same of periods, by their ids."""
    finished: tuple[str, ...] = ()
    """The periods that became final, and are in the projection no more."""
    has_visibilities: bool = False
    """Whether anybody was hidden or shown."""


def read_hint(text: str) -> Hint | None:
    """Read what `apply_changes.lua` publishes: blocks of lines, with a blank line between.

    The first block is of all time: a line of positions, and where anything changed, a line of ranks and a
    line a user. Each other is of a period: its id, a line of ranks and a line a user, or the id alone where
    the period became final.

    Returns:
        None for what is no hint. Anyone who may publish could have sent it, also a newer version.
    """
    try:
        return _parse(text)
    except ValueError:
        return None


def read_rank(word: str) -> tuple[int | None, bool]:
    """Read a rank as `apply_changes.lua` writes it, and whether nobody but its user may be shown it.

    Raises:
        ValueError: the word is none.
    """
    if word in ("-", "h", "s"):
        return None, word != "-"
    return (int(word[1:]), True) if word.startswith("s") else (int(word), False)


def _parse(text: str) -> Hint:
    (positions, *all_time), *blocks = (block.split("\n") for block in text.split("\n\n"))
    if [""] in blocks:
        raise ValueError(text)
    before, before_mark, after, after_mark = positions.split(" ")
    return Hint(
        Position(int(before), before_mark),
        Position(int(after), after_mark),
        _read_standings(*all_time) if all_time else (),
        {period_id: _read_standings(*lines) for period_id, *lines in blocks if lines},
        tuple(period_id for period_id, *lines in blocks if not lines),
        has_visibilities=any(line.count(" ") == _SPACES_TO_FLAG for line in all_time[1:]),
    )


def _read_standings(ranks: str, *lines: str) -> tuple[Standing, ...]:
    return tuple(_read_standing(*pair) for pair in zip(ranks.split(" "), lines, strict=True))


def _read_standing(word: str, line: str) -> Standing:
    user_id, total, reached, *_ = line.split(" ", 3)
    rank, hidden = read_rank(word)
    return Standing(user_id, int(total), rank, int(reached), hidden)
