"""Who ranks above whom: by total, and of equal totals by when it was reached."""

from hypothesis import given
from hypothesis import strategies as st

from score_service.domain.standings.ties import MEMBER_DIGITS, MEMBER_ORIGIN, rank_key

REVISIONS = st.integers(1, MEMBER_ORIGIN)


@given(st.integers(2, 2**53 - 1), REVISIONS, REVISIONS)
def test_a_greater_total_ranks_higher_whenever_it_was_reached(total: int, one: int, other: int) -> None:
    assert rank_key(total, one) < rank_key(total - 1, other)


def test_of_equal_totals_the_one_that_was_reached_earlier_ranks_higher() -> None:
    reached = {"ada": 7, "bob": 3, "cyd": 12}

    assert sorted(reached, key=lambda user_id: rank_key(5, reached[user_id])) == ["bob", "ada", "cyd"]


@given(st.lists(REVISIONS, unique=True))
def test_members_of_equal_totals_sort_as_the_rule_says(revisions: list[int]) -> None:
    members = {f"{MEMBER_ORIGIN - reached:0{MEMBER_DIGITS}}user": reached for reached in revisions}

    descending = [members[member] for member in sorted(members, reverse=True)]

    assert descending == sorted(revisions, key=lambda reached: rank_key(5, reached))
