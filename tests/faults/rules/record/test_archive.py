"""Cuts that are wrong in one thing each."""

from dataclasses import replace
from typing import Any

import pytest
from tests.faults.archived import archive
from tests.faults.corrected import ADA_FIRST, ADA_LAST, AWARDS, reverse
from tests.faults.synthetic import WINS, make_awards, make_ledger

from faults.model.findings import Kind
from faults.model.ledger import Ledger, Period
from faults.rules.record.archive import check_archive
from faults.rules.record.ledger import check_ledger

LEDGER = make_ledger(make_awards(WINS), [1, 2, 1, 1, 2, 1])
ARCHIVED = archive(archive(LEDGER, 3), 5)


def kinds(ledger: Ledger) -> set[Kind]:
    return {finding.kind for finding in (*check_archive(ledger), *check_ledger(ledger))}


def test_ledger_that_was_archived_is_right_as_if_it_were_not() -> None:
    assert kinds(LEDGER) == kinds(ARCHIVED) == kinds(reverse(ARCHIVED, ADA_LAST)) == set()


@pytest.mark.parametrize(
    "wrong", [{"revision": 4}, {"awards": 4}, {"commits": 3}, {"digest": "00"}, {"revision": 99}]
)
def test_entry_that_says_what_the_ledger_is_not_is_found(wrong: dict[str, Any]) -> None:
    assert kinds(archive(LEDGER, 5, wrong)) == {Kind.CUT_WRONG}


def test_cut_that_is_another_one_than_that_of_the_last_entry_is_found() -> None:
    assert kinds(replace(ARCHIVED, cut=3)) == {Kind.CUT_WRONG}
    assert kinds(replace(LEDGER, cut=3)) == {Kind.CUT_WRONG}


def test_cut_that_does_not_go_on_is_found() -> None:
    assert kinds(archive(archive(LEDGER, 5), 5)) == {Kind.CUT_WRONG}


@pytest.mark.parametrize(("final", "found"), [(None, {Kind.CUT_WRONG}), (9, {Kind.CUT_WRONG}), (8, set())])
def test_cut_in_a_period_that_was_not_final_is_found(final: int | None, found: set[Kind]) -> None:
    period = Period("day:1", "day", 0, 1, 1, 1, 5, None, None, None, final)
    assert kinds(replace(archive(LEDGER, 5), periods=[period])) == found


def test_ids_that_are_not_those_of_what_is_deleted_are_found() -> None:
    ids = dict(ARCHIVED.archived_ids)
    for wrong in ({}, {**ids, AWARDS[0].award_id: 2}, {**ids, AWARDS[6].award_id: 7}):
        assert kinds(replace(ARCHIVED, archived_ids=wrong)) == {Kind.ID_LOST}


def test_award_that_was_taken_back_after_it_was_archived_is_found() -> None:
    assert kinds(archive(reverse(LEDGER, ADA_FIRST), 5)) == set()
    assert kinds(reverse(ARCHIVED, ADA_FIRST)) == {Kind.ARCHIVED_REVERSED}
