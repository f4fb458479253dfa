"""The messages, word for word as the contract has them."""

import json
from typing import Any

from tests.action_gateway.scripted_board import day_of

from action_gateway.domain.entries import Entry
from action_gateway.domain.messages import Message, Top, make_initial, make_period, make_score, make_update
from action_gateway.domain.periods import show_period
from score_client.types import Standing

ADA = Entry(rank=1, user_id="u1", username="ada", score=20)
BOB = Entry(rank=2, user_id="u2", username=None, score=10)
ADA_ROW = {"rank": 1, "userId": "u1", "username": "ada", "score": 20}
DAY = {
    "id": "day:2026-12-01",
    "kind": "day",
    "startsAt": "2026-12-01T00:00:00Z",
    "endsAt": "2026-12-02T00:00:00Z",
    "closesAt": "2026-12-02T00:10:00Z",
    "state": "open",
    "nextStartsAt": "2026-12-02T00:00:00Z",
}
BOB_ROW = {"rank": 2, "userId": "u2", "username": None, "score": 10}


def standing(rank: int | None = 2, total: int = 10) -> Standing:
    return Standing(user_id="u2", total=total, rank=rank, reached_revision=6)


def read(message: Message) -> Any:
    return json.loads(message.text)


def test_the_first_message_has_the_leaderboard_and_the_users_own_rank() -> None:
    assert read(make_initial(Top((ADA, BOB)), standing(), 7, None)) == {
        "event": "leaderboard:initial",
        "revision": 7,
        "data": {"leaderboard": [ADA_ROW, BOB_ROW], "me": {"rank": 2, "score": 10}, "period": None},
    }


def test_a_user_without_an_award_has_score_zero_and_no_rank() -> None:
    message = read(make_initial(Top(), standing(rank=None, total=0), 0, None))
    assert message["data"] == {"leaderboard": [], "me": {"rank": None, "score": 0}, "period": None}


def test_the_first_message_names_the_period_it_shows() -> None:
    period = show_period(day_of(1))
    message = read(make_initial(Top(), standing(), 7, period))
    assert message["data"]["period"] == DAY
    assert read(make_period(period, 7)) == {
        "event": "leaderboard:period",
        "revision": 7,
        "data": {"period": DAY},
    }


def test_an_update_has_the_whole_leaderboard_and_the_changed_ranks() -> None:
    assert read(make_update(Top((ADA,)), Top((ADA, BOB)), 8)) == {
        "event": "leaderboard:update",
        "revision": 8,
        "data": {"leaderboard": [ADA_ROW, BOB_ROW], "changedRanks": [2]},
    }


def test_the_update_between_two_leaderboards_is_made_once_for_all_sockets() -> None:
    before, after = Top((ADA,)), Top((ADA, BOB))
    assert make_update(before, after, 8) is make_update(before, after, 8)


def test_a_score_update_has_user_score_and_rank() -> None:
    assert read(make_score(standing(), 9)) == {
        "event": "score:update",
        "revision": 9,
        "data": {"userId": "u2", "newScore": 10, "newRank": 2},
    }


def test_a_message_names_its_event_beside_the_text() -> None:
    message = make_score(standing(), 9)
    assert message.event == read(message)["event"]
