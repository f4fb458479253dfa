"""The awards that are made."""

import random
import uuid

import pytest

from bench.load.awards import Awards, user_id


def test_awards_are_new_each_time_and_of_the_users_of_the_board() -> None:
    requests = Awards("main", users=3, draw=random.Random(1)).batch(50).requests
    ids = {uuid.UUID(request.award.award_id) for request in requests}
    assert len(ids) == 50
    assert {each.version for each in ids} == {4}
    assert {request.award.user_id for request in requests} == {user_id(n) for n in range(3)}


def test_ids_in_order_are_of_version_7_and_begin_with_the_time(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("time.time_ns", iter(range(10**18, 2 * 10**18, 10**6)).__next__)
    requests = Awards("main", in_order=True).batch(50).requests
    ids = [uuid.UUID(request.award.award_id) for request in requests]
    assert ids == sorted(ids)
    assert len(set(ids)) == 50
    assert {(each.version, each.variant) for each in ids} == {(7, uuid.RFC_4122)}
    assert ids[0].int >> 80 == 10**12


@pytest.mark.parametrize("users", [1_000, 100_000])
def test_user_ids_are_eight_to_twelve_characters_long(users: int) -> None:
    assert {8 <= len(user_id(n)) <= 12 for n in (0, users - 1)} == {True}
