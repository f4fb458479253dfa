"""Periods of a board as players choose and see them. Pure."""

import re
from datetime import datetime
from typing import Annotated, Any, Final, Protocol, Self

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel

from score_client.types import Period, PeriodKind, PeriodState

ALL_TIME: Final = "all_time"
"""The choice of the standings that never start again. The empty text means the same."""
PREVIOUS: Final = "previous"

CHOICE_PATTERN: Final = (
    r"^(all_time|(day|week|month|season)(:previous)?|day:[0-9]{4}-[0-9]{2}-[0-9]{2}|week:[0-9]{4}-W[0-9]{2}"
    r"|month:[0-9]{4}-[0-9]{2}|season:[A-Za-z0-9._-]{1,64})?$"
)
"""The form of a choice: the current period of a kind, `day:previous`, or an id such as `week:2026-W49`."""
_CHOICE: Final = re.compile(CHOICE_PATTERN)

PeriodChoice = Annotated[
    str,
    Field(
        pattern=CHOICE_PATTERN,
        description="`all_time`; `day`, `week`, `month` or `season` for the current one; `day:previous` and "
        "so on for the last one that is final; or an id such as `week:2026-W49`",
    ),
]


_SKEW_SECONDS: Final = 60.0
"""A period that begins within this time is taken to have begun: the clocks of servers differ by less."""


class Span(Protocol):
    """A period, as far as `steps_back` needs it."""

    @property
    def starts_at(self) -> datetime:
        """Its first instant."""

    @property
    def ends_at(self) -> datetime:
        """The first instant after it."""


class ShownPeriod(BaseModel):
    """A range of time in which the board counts from 0."""

    model_config = ConfigDict(frozen=True, alias_generator=to_camel, validate_by_name=True)

    id: str = Field(
        description="such as `day:2026-11-30`, `week:2026-W49`, `month:2026-11` or `season:spring`"
    )
    kind: PeriodKind
    starts_at: datetime = Field(description="its first instant")
    ends_at: datetime = Field(description="the first instant after it")
    closes_at: datetime = Field(description="from here on nothing counts in it that happened in it")
    state: PeriodState
    next_starts_at: datetime | None = Field(
        description="where the next one of its kind starts; null where none is known"
    )

    @classmethod
    def of(cls, period: Period, **more: Any) -> Self:
        """Show a period, with more fields if there are any."""
        return cls(
            id=period.period_id,
            kind=period.kind,
            starts_at=period.starts_at,
            ends_at=period.ends_at,
            closes_at=period.closes_at,
            state=period.state,
            next_starts_at=period.next_starts_at,
            **more,
        )


def show_period(period: Period | None) -> ShownPeriod | None:
    """Turn a period into what players see of it; None is all time."""
    return None if period is None else ShownPeriod.of(period)


def steps_back(found: Span, known: Span, now: float) -> bool:
    """Return whether a current period that was found is over, so that the one that is known goes on.

    A server whose clock is behind still takes the former period for the current one. Periods that overlap are
    of different settings, and then what was found counts. So it does where what is known has yet to begin.

    Args:
        found: what a server says is current.
        known: what was current before.
        now: seconds since 1970.
    """
    return found.ends_at <= known.starts_at and known.starts_at.timestamp() <= now + _SKEW_SECONDS


def is_choice(text: str) -> bool:
    """Return whether a text has the form of a choice."""
    return _CHOICE.fullmatch(text) is not None


def is_current(choice: str) -> bool:
    """Return whether a choice is the current period of a kind."""
    return choice in set(PeriodKind)


def names_one_period(choice: str) -> bool:
    """Return whether a choice is the id of a period, of which there are any number."""
    _, colon, name = choice.partition(":")
    return bool(colon) and name != PREVIOUS
