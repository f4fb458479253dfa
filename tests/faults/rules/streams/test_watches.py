"""Watches that are wrong in one thing each. The right one leaves after revision 4 and resumes at 5."""

from collections.abc import Callable
from typing import Any

from tests.faults.synthetic import Run, message_at, position_of

from faults.model.findings import Kind
from faults.model.history import Message, Row

BEGIN, UPDATE, RESUMED, MISSED, LAST = range(5)
"""The messages of the watch, in order."""


def kinds(number: int, **changes: Any) -> set[Kind]:
    run = Run()
    run.change(number, Message, **changes)
    return run.kinds()


def without(*numbers: int) -> set[Kind]:
    run = Run()
    messages = [event for event in run.events if isinstance(event, Message)]
    for number in numbers:
        run.events.remove(messages[number])
    return run.kinds()


def test_watch_begins_with_the_top() -> None:
    assert without(BEGIN) == {Kind.STREAM_UNFOUNDED}
    assert without(RESUMED) == {Kind.STREAM_UNFOUNDED}


def test_change_that_was_not_sent_is_found() -> None:
    scores = message_at(Run().ledger, 4, "update", 1).scores

    assert kinds(UPDATE, scores=scores[1:]) == {Kind.CHANGE_NOT_SENT}
    assert kinds(UPDATE, scores=()) == {Kind.CHANGE_NOT_SENT, Kind.STREAM_UNFINISHED}, "nor is it told later"


def test_change_that_came_while_the_watch_was_unavailable_follows_the_snapshot() -> None:
    assert without(MISSED) == {Kind.CHANGE_NOT_SENT, Kind.STREAM_UNFINISHED}


def test_snapshot_of_a_resumed_watch_vouches_for_nothing() -> None:
    run = Run()
    missed = [event for event in run.events if isinstance(event, Message)][MISSED]
    run.events.remove(missed)
    run.change(MISSED, Message, scores=message_at(run.ledger, 8, "update", 4).scores)

    assert run.kinds() == set()


def test_watch_that_resumes_from_long_ago_gets_all_since_then_or_a_reset() -> None:
    run = Run()
    run.change(RESUMED, Message, after=position_of(run.ledger, 1))
    assert run.kinds() == {Kind.CHANGE_NOT_SENT}
    run.change(MISSED, Message, scores=message_at(run.ledger, 5, "update", 1).scores)
    assert run.kinds() == set()

    assert kinds(RESUMED, after=position_of(run.ledger, 1), reset=True) == set()


def test_last_change_has_to_be_sent() -> None:
    assert without(LAST) == {Kind.STREAM_UNFINISHED}


def test_watch_by_names_gets_these_users_alone() -> None:
    assert named(lambda message: message.scores) == set()
    assert named(lambda message: tuple(row for row in message.scores if row.user_id == "max")) == set()
    assert named(lambda message: message.scores[:1]) == {Kind.CHANGE_NOT_SENT, Kind.STREAM_UNFINISHED}


def named(scores: Callable[[Message], tuple[Row, ...]]) -> set[Kind]:
    run = Run()
    messages = [event for event in run.events if isinstance(event, Message)]
    for number in (BEGIN, UPDATE, RESUMED, MISSED, LAST):
        changes = {"all_scores": False, "user_ids": ("max",), "scores": scores(messages[number])}
        run.change(number, Message, **changes)
    return run.kinds()


def test_standing_that_changed_and_was_not_sent_is_found_at_the_end() -> None:
    run = Run()
    run.change(UPDATE, Message, all_scores=False)
    for number in (BEGIN, RESUMED, MISSED, LAST):
        run.change(number, Message, all_scores=False)
    run.change(LAST, Message, scores=())

    assert run.kinds() == {Kind.STREAM_UNFINISHED}


def test_message_that_shows_something_else_is_found() -> None:
    run = Run()
    scores = message_at(run.ledger, 4, "update", 1).scores
    top = message_at(run.ledger, 4, "update", 1).top or ()

    assert kinds(UPDATE, scores=(scores[0]._replace(total=8), *scores[1:])) == {Kind.STREAM_WRONG}
    assert kinds(UPDATE, scores=(scores[0]._replace(rank=None), *scores[1:])) == set()
    assert kinds(UPDATE, top=top[::-1]) == {Kind.STREAM_WRONG}
    assert kinds(UPDATE, top=None) == set()


def test_watch_does_not_step_back() -> None:
    ledger = Run().ledger
    back = message_at(ledger, 3, "snapshot", connection=1, at=5.3)

    run = Run()
    run.change(RESUMED, Message, revision=3, position=back.position, top=back.top)
    assert run.kinds() == {Kind.STREAM_BACK}
    run.change(RESUMED, Message, reset=True)
    run.change(MISSED, Message, scores=message_at(ledger, 5, "update", 3).scores)
    assert run.kinds() == set()


def test_watch_may_be_behind_a_snapshot_that_vouched_for_nothing() -> None:
    run = Run()
    messages = [event for event in run.events if isinstance(event, Message)]
    run.events.remove(messages[MISSED])
    run.change(MISSED, Message, event="snapshot", connection=2, scores=(), **_at(run, 4))
    run.events.append(message_at(run.ledger, 8, "update", 4, connection=2, at=9.0))

    assert run.kinds() == set()


def _at(run: Run, revision: int) -> dict[str, Any]:
    message = message_at(run.ledger, revision, "snapshot")
    return {"revision": revision, "position": message.position, "top": message.top}


def test_message_at_a_position_that_never_was_is_found() -> None:
    found = kinds(UPDATE, position="4-0123456789abcdef")

    assert found == {Kind.POSITION_UNKNOWN, Kind.STREAM_BACK}, "nothing leads on from there"


def test_message_before_its_awards_were_asked_for_is_found() -> None:
    assert kinds(UPDATE, at=3.2) == {Kind.POSITION_EARLY}


def restored() -> Run:
    run = Run()
    run.events = [event for event in run.events if getattr(event, "stream", "watch-1") == "watch-1"]
    run.restore([("zoe", 4), ("ada", 4)], keep=5)
    return run


def test_other_history_begins_with_a_reset() -> None:
    run = restored()
    run.events += [
        message_at(run.ledger, 6, "snapshot", connection=1, at=27.0),
        message_at(run.ledger, 7, "update", 6, connection=1, at=28.0),
    ]

    assert run.kinds() == {Kind.STREAM_BACK, Kind.STREAM_UNFINISHED}, "what it has is of both"


def test_watch_that_stays_in_the_lost_history_is_found() -> None:
    run = restored()
    run.events.append(message_at(run.former[0], 8, "checkpoint", connection=1, at=33.0))

    assert run.kinds() == {Kind.POSITION_LOST, Kind.STREAM_UNFINISHED}


def test_watch_of_common_history_needs_no_reset() -> None:
    run = Run()
    kept = [event for event in run.events if isinstance(event, Message)][: MISSED + 1]
    run.events = [event for event in run.events if not isinstance(event, Message)] + list(kept)
    run.restore([("zoe", 4), ("ada", 4)], keep=5)
    run.events.append(message_at(run.ledger, 7, "update", 5, connection=1, at=28.0))

    assert run.kinds() == set()
