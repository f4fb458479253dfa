"""Streams that tell late of what was acknowledged. Award n is answered at n + 0.2."""

from typing import Any

import pytest
from tests.faults.synthetic import Run

from faults.model.findings import Kind
from faults.model.history import Fault, Message
from faults.rules.streams.progress import STALE

WATCH_LAST, SOCKET_SCORE, SOCKET_TOP = 4, 6, 7
"""Messages of a run: the watch tells of awards 6 to 8, the socket of award 3, then of none of its user."""
KILLED = Fault(name="killed", target="score-1", began=0.1, ended=0.5)


def kinds(changes: dict[int, dict[str, Any]], began: float, ended: float, *others: Fault) -> set[Kind]:
    run = Run()
    for number, change in changes.items():
        run.change(number, Message, **change)
    run.events += [Fault(name="full", target="valkey", began=began, ended=ended), *others]
    return run.kinds()


@pytest.mark.parametrize(
    ("at", "began", "ended", "expected"),
    [
        (6.1 + STALE, 0.9, 30.0, set()),
        (6.3 + STALE, 0.9, 30.0, {Kind.STREAM_STALE}),
        (6.3 + STALE, 6.3, 30.0, set()),  # It was acknowledged before; Redis may have had it.
        (7.3 + STALE, 6.3, 30.0, {Kind.STREAM_STALE}),
        (6.3 + STALE, 0.9, 6.1 + STALE, set()),  # Writes were taken again before it was due.
        (100.0, 0.9, 6.3 + STALE, {Kind.STREAM_STALE}),
    ],
)
def test_watch_tells_in_time_of_what_was_acknowledged(
    at: float, began: float, ended: float, expected: set[Kind]
) -> None:
    assert kinds({WATCH_LAST: {"at": at}}, began, ended) == expected


@pytest.mark.parametrize(("at", "expected"), [(3.1 + STALE, set()), (3.3 + STALE, {Kind.STREAM_STALE})])
def test_socket_tells_its_user_in_time(at: float, expected: set[Kind]) -> None:
    assert kinds({SOCKET_SCORE: {"at": at}, SOCKET_TOP: {"at": at + 0.1}}, 0.9, 30.0) == expected


def test_scores_of_others_are_not_awaited() -> None:
    late = 6.3 + STALE
    named = {"all_scores": False, "user_ids": ("ada",), "at": late}
    assert kinds({SOCKET_TOP: {"at": late}}, 0.9, 30.0) == set()
    assert kinds({WATCH_LAST: named}, 0.9, 30.0) == set()
    assert Kind.STREAM_STALE in kinds({WATCH_LAST: named | {"at": 8.3 + STALE}}, 0.9, 30.0)


def test_connection_that_was_opened_later_is_judged_from_then_on() -> None:
    opened = {number: {"at": 20.0} for number in (2, 3)}
    assert kinds(opened | {WATCH_LAST: {"at": 20.1}}, 0.9, 20.0) == {Kind.STREAM_STALE}
    assert kinds(opened | {WATCH_LAST: {"at": 20.1}}, 0.9, 19.9) == set()
    another = {"at": 20.0, "connection": 2, "event": "snapshot"}
    assert Kind.STREAM_STALE not in kinds({WATCH_LAST: another}, 0.9, 30.0)


def test_nothing_is_awaited_where_something_else_is_broken_or_may_not_be_noticed_as_whole() -> None:
    late = {WATCH_LAST: {"at": 6.3 + STALE}}
    assert kinds(late, 0.9, 30.0, KILLED) == {Kind.STREAM_STALE}
    assert kinds(late, 6.1, 30.0, Fault(name="killed", target="score-1", began=4.9, ended=6.0)) == set()
    assert kinds(late, 0.9, 30.0, Fault(name="killed", target="score-1", began=29.0, ended=31.0)) == set()
    assert kinds(late, 0.9, 30.0, Fault(name="killed", target="score-1", began=30.1, ended=31.0)) == {
        Kind.STREAM_STALE
    }
