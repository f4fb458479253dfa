"""Corrections of a ledger that are wrong in one thing each."""

from typing import Any

import pytest
from tests.faults.corrected import ADA_FIRST, ADA_LAST, BEN_LAST, fold_all, reverse, show
from tests.faults.synthetic import WINS, make_awards, make_ledger

from faults.model.findings import Kind
from faults.model.history import Row
from faults.model.ledger import Ledger
from faults.rules.record.ledger import check_ledger

LEDGER = make_ledger(make_awards(WINS), [1, 2, 1, 1, 2, 1])


def kinds(ledger: Ledger) -> set[Kind]:
    return {finding.kind for finding in check_ledger(ledger)}


def test_ledger_with_corrections_is_right() -> None:
    hidden = show(reverse(reverse(LEDGER, ADA_LAST), BEN_LAST), "eve", "hidden")

    assert kinds(show(show(hidden, "eve", "shadowed"), "eve", "visible")) == set()


def test_standing_is_what_it_would_be_without_the_award() -> None:
    fold = fold_all(reverse(LEDGER, ADA_LAST))

    stand = fold.find("ada")
    assert stand
    # Kim reached 7 later than the award of Ada that stands, so the tie is hers again.
    assert stand.row == Row("ada", 7, 3, 3, hidden=False)


def test_user_without_an_award_left_is_in_no_rank() -> None:
    fold = fold_all(reverse(LEDGER, LEDGER.awards[3]))

    assert (fold.find("eve"), fold.rank("eve")) == (None, None)
    assert "eve" not in {row.user_id for row in fold.top(100)}


def test_hidden_users_are_ranked_by_nobody_and_shadowed_ones_for_themselves() -> None:
    hidden, shadowed = (fold_all(show(LEDGER, "ada", seen)) for seen in ("hidden", "shadowed"))

    assert [fold.rank("ada") for fold in (hidden, shadowed)] == [None, fold_all(LEDGER).rank("ada")]
    for fold in (hidden, shadowed):
        assert "ada" not in {row.user_id for row in fold.top(100)}
        assert [row.rank for row in fold.top(100)] == [1, 2, 3, 4]


def test_award_that_is_taken_back_twice_is_found() -> None:
    once = reverse(LEDGER, ADA_LAST)

    assert Kind.REVERSAL_DOUBLED in kinds(reverse(once, ADA_LAST))
    other = "00000000-0000-4000-8000-000000000001"
    assert Kind.REVERSAL_DOUBLED in kinds(reverse(once, ADA_LAST, reversal_id=other))


def test_reversal_of_two_awards_is_found() -> None:
    ledger = reverse(reverse(LEDGER, ADA_LAST, reversal_id="one"), ADA_FIRST, reversal_id="one")

    assert kinds(ledger) == {Kind.REVERSAL_DOUBLED}


@pytest.mark.parametrize(
    "changes",
    [
        {"points": 2},
        {"award_revision": 1},
        {"final_periods": ["day:2026-11-30"]},
        {"standings": [["all_time", 8, 8]]},
        {"standings": [["all_time", 7, 8]]},
    ],
)
def test_reversal_that_says_something_else_than_what_became_of_it_is_found(changes: dict[str, Any]) -> None:
    assert Kind.REVERSAL_WRONG in kinds(reverse(LEDGER, ADA_LAST, **changes))


def test_visibility_that_changes_nothing_or_says_another_total_is_found() -> None:
    assert kinds(show(LEDGER, "ada", "visible")) == {Kind.VISIBILITY_WRONG}
    assert kinds(show(LEDGER, "ada", "hidden", standings=[["all_time", 1, 1]])) == {Kind.VISIBILITY_WRONG}
