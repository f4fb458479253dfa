"""When points come too fast."""

from action_gateway.moderation.surges import Surges


def test_a_surge_begins_once_a_minute_with_the_payment_that_passes_the_floor() -> None:
    surges = Surges(floor=100)
    paid = [(0, 60), (10, 40), (20, 1), (30, 500), (59.9, 1), (60, 100), (61, 1), (121, 1)]

    assert [now for now, points in paid if surges.note("ada", points, now)] == [20, 61]


def test_each_user_has_a_minute_of_its_own() -> None:
    surges = Surges(floor=10)

    assert not surges.note("ada", 10, 0)
    assert not surges.note("bob", 10, 0)
    assert surges.note("bob", 1, 1)


def test_a_single_payment_may_be_a_surge() -> None:
    assert Surges(floor=10).note("ada", 11, 0)


def test_nothing_is_one_where_it_is_disabled() -> None:
    assert not Surges(floor=0).note("ada", 1_000_000, 0)


def test_who_was_paid_longest_ago_is_forgotten_first() -> None:
    surges = Surges(floor=10, users_max=2)
    for user_id in ("ada", "bob", "ada", "eve"):
        surges.note(user_id, 5, 0)

    assert not surges.note("bob", 6, 1)
    assert surges.note("eve", 6, 1)


def test_a_clock_that_has_stepped_back_begins_a_window() -> None:
    surges = Surges(floor=10)
    surges.note("ada", 10, 100)

    assert not surges.note("ada", 5, 50)
