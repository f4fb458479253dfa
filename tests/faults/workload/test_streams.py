"""Who watches what."""

import random
from typing import Any

import pytest

from faults.backends.subscribers import Subscriber
from faults.backends.watchers import Watcher
from faults.load.load import GATEWAY_BOARD, Load
from faults.model.history import History
from faults.workload.streams import Streams

_LOAD = Load(watches=24, sockets=3, event_streams=2)


@pytest.fixture
def streams() -> Streams:
    streams = Streams(History(), random.Random(1), _LOAD)
    nobody: Any = None
    streams.watch([nobody, nobody], [f"user-{number}" for number in range(100)])
    return streams


def _watchers(streams: Streams) -> list[Watcher]:
    return [one for one in streams.all() if isinstance(one, Watcher)]


def test_every_board_is_watched_in_every_way_by_some_who_leave_and_some_who_stay(streams: Streams) -> None:
    ways = {
        (one.observer.board_id, one.all_scores, bool(one.user_ids), one.stay_seconds is None)
        for one in _watchers(streams)
    }
    for board in _LOAD.boards:
        of_board = {way[1:] for way in ways if way[0] == board}
        assert {way[:2] for way in of_board} == {(True, False), (False, True), (False, False)}
        assert {way[2] for way in of_board} == {True, False}
    assert {one.observer.top_n for one in _watchers(streams)} == {1, 10, 25}


def test_no_two_streams_have_the_same_name(streams: Streams) -> None:
    player: Any = type("Player", (), {"account": None})()
    gateway: Any = None
    streams.follow(gateway, [player])
    nobody: Any = None
    streams.subscribe([nobody])
    observing = [one for one in streams.all() if not isinstance(one, Subscriber)]
    names = [one.name if isinstance(one, Subscriber) else one.observer.name for one in streams.all()]
    assert len(set(names)) == len(names) == 24 + 4 + 3 + 2
    followers = [one.observer for one in observing if not isinstance(one, Watcher)]
    assert {one.board_id for one in followers} == {GATEWAY_BOARD}
    assert [one.name.split("-")[0] for one in followers] == ["socket"] * 3 + ["events"] * 2


def test_nobody_leaves_any_more_once_all_are_to_remain(streams: Streams) -> None:
    streams.remain()
    assert {one.stay_seconds for one in _watchers(streams)} == {None}
