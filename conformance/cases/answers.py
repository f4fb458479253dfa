"""Answers: whole numbers of 64 bits, what is not known yet, and what is unset."""

from collections.abc import Sequence
from typing import Final

from conformance.cases.case import Case, case
from conformance.server.scripted import answer
from conformance.trial import Trial, require, result_of
from score_api.v1 import leaderboard_service_pb2 as boards
from score_api.v1 import types_pb2

_LARGE: Final = (1 << 53) + 1
"""The first whole number that no double has."""
_UNKNOWN_FIELD: Final = bytes.fromhex("a00607aa0603616263")
"""Fields 100 and 101, a number and a text."""
_UNKNOWN_SOURCE: Final = bytes.fromhex("2863")
"""The field `source` of a page of standings, with the value 99."""


@case("numbers-and-what-is-unset", "Whole numbers of 64 bits arrive exactly.")
async def whole_numbers_are_exact(trial: Trial) -> None:
    """A revision and a rank beyond what a double holds."""
    _, client = await trial.open_one()
    trial.desk.first_result.MergeFrom(type(trial.desk.first_result)(revision=_LARGE, rank=_LARGE))
    result = result_of(await client.award())
    told = (result.revision, result.rank)
    require(told == (_LARGE, _LARGE), f"a revision and a rank of {_LARGE}", told)


@case("numbers-and-what-is-unset", "A rank that is unset is not known; it is not 0.")
async def an_unset_rank_is_no_rank(trial: Trial) -> None:
    """An award and a standing without a rank."""
    server, client = await trial.open_one()
    trial.desk.first_result.ClearField("rank")
    result = result_of(await client.award())
    require(not result.HasField("rank"), "no rank of the award", result.rank)
    server.script("ListStandings", answer(_page(types_pb2.Standing(user_id="ada", total=10))))
    [standing] = result_of(await client.top()).standings
    require(not standing.HasField("rank"), "no rank of the standing", standing.rank)


@case("numbers-and-what-is-unset", "Fields and values of enums that are not known are no error.")
async def what_is_not_known_is_passed_over(trial: Trial) -> None:
    """A page of a later version of the service."""
    server, client = await trial.open_one()
    page = _page(types_pb2.Standing(user_id="ada", total=10, rank=1, reached_revision=4))
    raw = page.SerializeToString() + _UNKNOWN_FIELD + _UNKNOWN_SOURCE
    server.script("ListStandings", answer(raw))
    told = result_of(await client.top())
    require(told.standings == page.standings, "ada with 10 points and rank 1", told.standings)
    require(told.position == page.position, f"the position {page.position}", told.position)


def _page(*standings: types_pb2.Standing) -> boards.ListStandingsResponse:
    return boards.ListStandingsResponse(
        standings=standings, revision=4, position="4-aa", source=types_pb2.SOURCE_CACHE
    )


CASES: Final[Sequence[Case]] = (
    whole_numbers_are_exact,
    an_unset_rank_is_no_rank,
    what_is_not_known_is_passed_over,
)
