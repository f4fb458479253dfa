"""How many events get through, and how the others are counted."""

from itertools import accumulate

from hypothesis import given, settings
from hypothesis import strategies as st

from service_runtime.telemetry.throttle import Throttle

PER_SECOND = 3


@settings(deadline=None)
@given(st.lists(st.floats(0, 2, allow_nan=False), max_size=200))
def test_no_more_than_so_many_get_through_a_second_and_the_others_are_counted(pauses: list[float]) -> None:
    now = 0.0
    throttle = Throttle(PER_SECOND, lambda: now)
    let_through: list[float] = []
    told = left_out = 0
    for now in accumulate(pauses):
        held = throttle.let_through()
        if held is None:
            left_out += 1
        else:
            let_through.append(now)
            told += held
            assert told == left_out

    for first, last in zip(let_through, let_through[2 * PER_SECOND :], strict=False):
        assert last - first >= 1


def test_the_next_second_has_room_again() -> None:
    times = iter((0.0, 0.5, 0.9, 1.0, 1.1, 7.0))
    throttle = Throttle(1, lambda: next(times))

    assert [throttle.let_through() for _ in range(6)] == [0, None, None, 2, None, 1]
