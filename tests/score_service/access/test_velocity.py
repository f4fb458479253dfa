"""What is out of the ordinary, and what is not."""

import random
from collections.abc import Iterable

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from score_service.access.velocity import (
    BOARDS_MAX,
    SAMPLES_MAX,
    SAMPLES_MIN,
    WARM_UP_WINDOWS,
    Surge,
    Velocity,
)

WINDOW = 60.0
MULTIPLE = 10
KNOWN = WARM_UP_WINDOWS * WINDOW
"""From then on a board is known."""
FEW = settings(deadline=None, max_examples=25)
Award = tuple[float, str, int]
"""When, to whom, and how many points."""


def velocity(floor: float = 1, users_max: int = 20_000) -> Velocity:
    return Velocity(floor=floor, multiple=MULTIPLE, window=WINDOW, users_max=users_max)


def play(rule: Velocity, awards: Iterable[Award], board_id: str = "main") -> list[tuple[float, str, Surge]]:
    """Give awards in order of time, and tell the surges."""
    told = []
    for now, user_id, points in sorted(awards):
        if surge := rule.note(board_id, user_id, points, now):
            told.append((now, user_id, surge))
    return told


def steady(users: Iterable[str], points: int, *, minutes: int, seed: int) -> list[Award]:
    """Make awards of everybody in every minute, of half to twice so many points a user."""
    chance = random.Random(seed)
    return [
        (60.0 * (minute + chance.random()), user_id, chance.randint(points // 8, points // 2))
        for minute in range(minutes)
        for user_id in users
        for _ in range(4)
    ]


def names(count: int) -> list[str]:
    return [f"user-{number}" for number in range(count)]


@FEW
@given(st.integers(SAMPLES_MIN, 100), st.integers(8, 100_000), st.integers(0, 1_000))
def test_steady_play_of_everybody_is_ordinary_however_fast_it_is(users: int, points: int, seed: int) -> None:
    assert play(velocity(), steady(names(users), points, minutes=8, seed=seed)) == []


@FEW
@given(st.integers(SAMPLES_MIN, 50), st.integers(1, 50), st.integers(0, 1_000))
def test_one_bot_among_many_is_found_within_a_minute_and_nobody_else(
    users: int, bits: int, seed: int
) -> None:
    points, minutes = 80, 8
    times = [60.0 * minute + 59 * bit / bits for minute in range(minutes) for bit in range(bits)]
    bot = [(time, "bot", 40 * points // bits) for time in times]
    told = play(velocity(), [*steady(names(users), points, minutes=minutes, seed=seed), *bot])

    assert {user_id for _, user_id, _ in told} == {"bot"}
    assert told[0][0] <= KNOWN + WINDOW
    assert len(told) >= minutes - WARM_UP_WINDOWS - 1
    for _, _, surge in told:
        assert surge.typical is not None
        assert surge.points > MULTIPLE * surge.typical


@FEW
@given(st.integers(1, SAMPLES_MIN - 1), st.lists(st.integers(1, 300), min_size=10, max_size=60))
def test_few_users_are_judged_by_the_floor_alone_and_never_get_used_to(users: int, points: list[int]) -> None:
    awards = [(WINDOW * minute, name, given) for minute, given in enumerate(points) for name in names(users)]
    told = play(velocity(floor=200), awards)

    # The minute before is over just as the next one begins, and counts whole.
    recents = [now + before for before, now in zip([0, *points], points, strict=False)]
    expected = {n for n, recent in enumerate(recents) if recent > 200 and n >= WARM_UP_WINDOWS}
    assert {round(now / WINDOW) for now, _, _ in told} == expected
    assert len(told) == users * len(expected)
    assert all(surge.typical is None for _, _, surge in told)


def test_the_floor_holds_for_a_board_on_which_little_is_typical() -> None:
    awards = [(20.0 * step, name, 1) for step in range(15) for name in names(20)]
    assert play(velocity(floor=500), [*awards, (301.0, "user-3", 496)]) == []
    assert [user for _, user, _ in play(velocity(floor=500), [*awards, (301.0, "user-3", 600)])] == ["user-3"]


def test_a_surge_is_reported_once_a_user_and_window() -> None:
    rule = velocity(floor=100)
    rule.note("main", "early", 1, 0.0)
    told = play(rule, ((KNOWN + step, user, 60) for step in range(240) for user in ("ada", "bob")))

    assert [user for _, user, _ in told] == ["ada", "bob"] * 4


def test_points_on_both_sides_of_a_window_count_together() -> None:
    rule = velocity(floor=100)
    assert rule.note("main", "ada", 1, 0.0) is None
    start = KNOWN + 60
    assert rule.note("main", "ada", 1, start) is None
    assert rule.note("main", "ada", 60, start + 59) is None
    assert rule.note("main", "ada", 60, start + 61) == Surge(120, None)


def test_a_window_before_the_last_counts_no_more() -> None:
    rule = velocity(floor=100)
    for minute in range(3, 20):
        assert rule.note("main", "ada", 100, 120.0 * minute) is None


def test_boards_are_apart() -> None:
    rule = velocity()
    play(rule, steady(names(20), 1_000, minutes=8, seed=1), "busy")
    told = play(rule, steady(["ada"], 1_000, minutes=8, seed=1), "quiet")

    assert {surge.typical for _, _, surge in told} == {None}


@FEW
@given(st.data())
def test_a_clock_that_steps_back_adds_no_points(data: st.DataObject) -> None:
    rule, total = velocity(floor=10), 0
    for now in data.draw(st.lists(st.floats(0, 1_000), max_size=50)):
        points = data.draw(st.integers(1, 20))
        total += points
        surge = rule.note("main", "ada", points, now)
        assert surge is None or 10 < surge.points <= total


def test_points_just_above_the_floor_are_reported_as_above_it() -> None:
    rule = velocity(floor=10)
    for points, now in ((1, 0.0), (3, 349.0)):
        assert rule.note("main", "ada", points, now) is None
    surge = rule.note("main", "ada", 9, 447.0)
    assert surge
    assert surge.points > 10


def test_memory_is_bounded_and_those_who_get_points_often_stay() -> None:
    rule = velocity(floor=1_000, users_max=100)
    told = []
    for step in range(5_000):
        rule.note(f"board-{step % (2 * BOARDS_MAX)}", f"user-{step}", 1, KNOWN + step / 100)
        told.append(rule.note("main", "bot", 1, KNOWN + step / 100))
    for user_id in names(3 * SAMPLES_MAX):
        for now in (1_000.0, 1_100.0):
            rule.note("main", user_id, 1, now)

    assert len(rule._paces) == 100
    assert len(rule._boards) == BOARDS_MAX
    assert max(len(board._samples) for board in rule._boards.values()) == SAMPLES_MAX


@pytest.mark.parametrize("points", [1, 1_000_000])
def test_in_the_first_minutes_of_a_board_nothing_is_reported(points: int) -> None:
    rule = velocity()
    assert play(rule, [(now, "ada", points) for now in (0.0, 60.0, 179.9)]) == []
