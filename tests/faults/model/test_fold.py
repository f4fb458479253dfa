"""What awards add up to, beside the same worked out anew each time."""

from hypothesis import given
from hypothesis import strategies as st
from tests.faults.synthetic import USERS, make_awards

from faults.model.fold import Fold, fold_at
from faults.model.history import Row

WINS = st.lists(st.tuples(st.sampled_from(USERS), st.integers(1, 4)), max_size=40)


@given(WINS)
def test_every_revision_is_what_its_awards_add_up_to(wins: list[tuple[str, int]]) -> None:
    awards = make_awards(wins)

    for revision, fold in enumerate(fold_at(awards, range(len(awards) + 1))):
        newest = {award.user_id: award for award in awards[:revision]}
        ordered = sorted(newest.values(), key=lambda award: (-award.total_after, award.revision))
        expected = [
            Row(award.user_id, award.total_after, rank, award.revision)
            for rank, award in enumerate(ordered, start=1)
        ]
        assert fold.top(100) == expected
        found = [stand.row for row in expected if (stand := fold.find(row.user_id))]
        assert found == [row._replace(hidden=False) for row in expected]
        assert [fold.rank(row.user_id) for row in expected] == [row.rank for row in expected]


def test_of_equal_totals_the_one_reached_earlier_is_first() -> None:
    (fold,) = fold_at(make_awards([("ben", 2), ("ada", 2), ("zoe", 2)]), [3])

    assert [row.user_id for row in fold.top(3)] == ["ben", "ada", "zoe"]


def test_user_without_an_award_has_no_rank() -> None:
    assert (Fold().rank("ada"), Fold().find("ada")) == (None, None)


def test_rank_at_which_a_total_was_reached_is_kept() -> None:
    (fold,) = fold_at(make_awards([("ada", 2), ("ben", 3), ("eve", 4)]), [3])

    stand = fold.find("ada")

    assert stand
    assert (stand.rank_when_reached, stand.row.rank) == (1, 3)
