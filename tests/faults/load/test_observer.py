"""When a stream counts as showing its board."""

import pytest

from faults.load.observer import Head, Observer
from faults.model.history import Closed, History, Message, Row

_TOP = (Row("ada", 9, 1, 4), Row("bob", 5, 2, 3), Row("cem", 1, 3, 1))
_HEAD = Head("4-x", _TOP, {"ada": 9, "bob": 5, "cem": 1})


@pytest.fixture
def observer() -> Observer:
    return Observer(name="watch-1", board_id="main", history=History(), top_n=2)


def _message(**changes: object) -> Message:
    fields: dict[str, object] = {"revision": 3, "position": "3-x", "event": "update"}
    return Message(stream="watch-1", connection=0, board_id="main", at=1.0, **(fields | changes))  # type: ignore[arg-type]


def test_observer_that_received_nothing_shows_no_board(observer: Observer) -> None:
    assert not observer.shows(_HEAD)


def test_observer_at_the_position_shows_the_board(observer: Observer) -> None:
    observer.take(_message(position="4-x"))
    assert observer.shows(_HEAD)


def test_observer_who_knows_all_that_it_asked_for_shows_the_board(observer: Observer) -> None:
    observer.take(_message(top=_TOP[:2], scores=(Row("bob", 5, None),)))
    assert observer.shows(_HEAD)


@pytest.mark.parametrize("top", [_TOP[:1], (Row("ada", 9, 1), Row("bob", 4, 2)), (_TOP[1], _TOP[0])])
def test_observer_with_another_top_does_not_show_the_board(observer: Observer, top: tuple[Row, ...]) -> None:
    observer.take(_message(top=top))
    assert not observer.shows(_HEAD)


def test_observer_with_an_old_score_does_not_show_the_board(observer: Observer) -> None:
    observer.take(_message(top=_TOP[:2], scores=(Row("cem", 2, 3),)))
    assert not observer.shows(_HEAD)


def test_reset_forgets_the_scores(observer: Observer) -> None:
    observer.take(_message(scores=(Row("cem", 2, 3),)))
    observer.take(_message(event="snapshot", top=_TOP[:2], reset=True))
    assert observer.shows(_HEAD)


def test_all_that_is_seen_is_recorded(observer: Observer) -> None:
    message = _message()
    observer.take(message)
    observer.close(2.0, "1012")
    closed = Closed(stream="watch-1", connection=-1, at=2.0, reason="1012")
    assert observer.history.events == [message, closed]
