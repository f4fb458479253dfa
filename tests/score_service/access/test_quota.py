"""Quotas: awards a second and points a minute, both or neither."""

import pytest
from tests.fixtures.clocks import SetClock
from tests.score_service.access.test_policy import grant

from score_service.access.policy import Grant
from score_service.access.quota import Quota
from score_service.errors import QuotaExceededError


@pytest.fixture
def clock() -> SetClock:
    return SetClock(1_000.0)


@pytest.fixture
def quota(clock: SetClock) -> Quota:
    return Quota(clock)


def limited(awards: int = 1_000, points: int = 1_000, name: str = "spiffe://laurel.test/a") -> Grant:
    return grant(spiffe_id=name, awards_per_second=awards, points_per_minute=points)


def rejected_for(quota: Quota, limits: Grant, points: int) -> float:
    with pytest.raises(QuotaExceededError) as caught:
        quota.take(limits, points)
    return caught.value.retry_after


def test_awards_a_second_are_counted(quota: Quota, clock: SetClock) -> None:
    limits = limited(awards=2)
    quota.take(limits, 1)
    clock.now += 0.75
    quota.take(limits, 1)
    assert rejected_for(quota, limits, 1) == pytest.approx(0.25)
    clock.now += 0.25
    quota.take(limits, 1)


def test_points_a_minute_are_counted(quota: Quota, clock: SetClock) -> None:
    limits = limited(points=100)
    quota.take(limits, 60)
    clock.now += 50
    quota.take(limits, 40)
    assert rejected_for(quota, limits, 1) == pytest.approx(10)
    clock.now += 10
    quota.take(limits, 100)


def test_an_award_rejected_for_its_points_uses_no_award(quota: Quota) -> None:
    limits = limited(awards=1, points=100)
    rejected_for(quota, limits, 101)
    quota.take(limits, 100)


def test_an_award_rejected_for_its_rate_uses_no_points(quota: Quota, clock: SetClock) -> None:
    limits = limited(awards=1, points=100)
    quota.take(limits, 1)
    rejected_for(quota, limits, 99)
    clock.now += 1
    quota.take(limits, 99)


def test_the_later_of_two_full_windows_gives_the_time_to_retry(quota: Quota) -> None:
    limits = limited(awards=1, points=1)
    quota.take(limits, 1)
    assert rejected_for(quota, limits, 1) == pytest.approx(60)


def test_awards_taken_together_count_each_and_are_rejected_together(quota: Quota) -> None:
    limits = limited(awards=3)
    quota.take(limits, 10, awards=2)
    with pytest.raises(QuotaExceededError):
        quota.take(limits, 10, awards=2)
    quota.take(limits, 10)
    rejected_for(quota, limits, 1)


def test_callers_do_not_use_each_others_quota(quota: Quota) -> None:
    quota.take(limited(awards=1), 1)
    quota.take(limited(awards=1, name="spiffe://laurel.test/b"), 1)


def test_waiting_for_the_time_to_retry_is_enough(quota: Quota, clock: SetClock) -> None:
    limits = limited(awards=3, points=50)
    taken = 0
    for _ in range(100):
        try:
            quota.take(limits, 20)
            taken += 1
        except QuotaExceededError as error:
            clock.now += error.retry_after
            quota.take(limits, 20)
            taken += 1
    assert taken == 100
