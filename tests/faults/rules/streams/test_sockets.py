"""Sockets that are wrong in one thing each."""

from dataclasses import replace
from typing import Any

from tests.faults.synthetic import Run, socket_at

from faults.model.findings import Kind
from faults.model.history import Message, Row

INITIAL, SCORE, UPDATE, LAST = range(5, 9)
"""The messages of the socket, after those of the watch."""


def kinds(number: int, **changes: Any) -> set[Kind]:
    run = Run()
    run.change(number, Message, **changes)
    return run.kinds()


def test_connection_begins_with_where_things_stand() -> None:
    assert kinds(INITIAL, event="leaderboard:update") == {Kind.STREAM_UNFOUNDED}
    assert kinds(UPDATE, event="leaderboard:initial") == {Kind.STREAM_UNFOUNDED}


def test_socket_does_not_step_back_within_a_connection() -> None:
    run = Run()
    run.change(UPDATE, Message, revision=3, top=socket_at(run.ledger, 3, "leaderboard:update").top)
    assert run.kinds() == {Kind.STREAM_BACK}

    run.change(UPDATE, Message, connection=1, event="leaderboard:initial")
    run.change(LAST, Message, connection=2)
    assert run.kinds() == set()


def test_rank_may_be_any_since_the_score_was_reached() -> None:
    for rank, expected in ((1, set()), (2, set()), (3, {Kind.STREAM_WRONG}), (None, set())):
        assert kinds(SCORE, scores=(Row("ada", 7, rank),)) == expected


def test_message_that_shows_something_else_is_found() -> None:
    top = socket_at(Run().ledger, 5, "leaderboard:update").top or ()

    assert kinds(SCORE, scores=(Row("ada", 5, 1),)) == {Kind.STREAM_WRONG}
    assert kinds(UPDATE, top=top[:2]) == {Kind.STREAM_WRONG}
    assert kinds(UPDATE, top=(top[1], top[0], *top[2:])) == {Kind.STREAM_WRONG}


def test_revision_that_is_no_position_is_found() -> None:
    assert kinds(UPDATE, revision=6) == {Kind.POSITION_UNKNOWN}


def test_last_of_the_top_and_of_the_score_have_to_be_sent() -> None:
    run = Run()
    run.events = run.events[:-1]

    assert run.kinds() == {Kind.STREAM_UNFINISHED}


def test_socket_follows_a_restore_within_its_connection() -> None:
    run = Run()
    run.events = [event for event in run.events if getattr(event, "stream", "socket-1") == "socket-1"]
    run.restore([("zoe", 4), ("ada", 4)], keep=5)
    run.events.append(socket_at(run.ledger, 7, "leaderboard:update", connection=1, at=28.0))
    run.events.append(socket_at(run.ledger, 7, "score:update", connection=1, at=28.0))

    assert run.kinds() == set()


def test_top_and_score_may_be_of_two_histories_near_a_restore() -> None:
    for total, expected in ((7, set()), (11, set()), (9, {Kind.STREAM_WRONG})):
        run = Run()
        run.events = [event for event in run.events if getattr(event, "stream", "socket-1") == "socket-1"]
        run.restore([("zoe", 4), ("ada", 4)], keep=5)
        lost = socket_at(run.former[0], 8, "leaderboard:initial", connection=2, at=26.0)
        run.events.append(replace(lost, scores=(Row("ada", total, 1),)))
        run.events.append(socket_at(run.ledger, 7, "leaderboard:initial", connection=3, at=90.0))
        assert run.kinds() == expected


def test_rank_of_a_score_that_a_restore_left_as_it_was_is_not_judged_at_the_end() -> None:
    for at, expected in ((26.0, set()), (90.0, {Kind.STREAM_WRONG, Kind.STREAM_UNFINISHED})):
        run = Run()
        run.events = [event for event in run.events if getattr(event, "stream", "socket-1") == "socket-1"]
        run.restore([("zoe", 4), ("ada", 4)], keep=5)
        end = socket_at(run.ledger, 7, "leaderboard:initial", connection=2, at=at)
        run.events.append(replace(end, scores=(Row("ada", 11, 5),)))
        assert run.kinds() == expected
