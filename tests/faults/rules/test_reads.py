"""Reads that are wrong in one thing each."""

from typing import Any

import pytest
from tests.faults.synthetic import Run, fold_of, position_of, read_at

from faults.model.findings import Kind
from faults.model.history import Fault, Read, Row
from faults.rules.reads import STALE


def kinds(**changes: Any) -> set[Kind]:
    run = Run()
    run.change(1, Read, **changes)
    return run.kinds()


def test_read_of_the_record_may_leave_ranks_out() -> None:
    rows = tuple(row._replace(rank=None) for row in read_at(Run().ledger, 5).rows)

    assert kinds(source="record", rows=rows) == set()
    assert kinds(rows=rows) == {Kind.READ_WRONG}


def test_read_at_a_position_that_never_was_is_found() -> None:
    assert kinds(position="5-0123456789abcdef") == {Kind.POSITION_UNKNOWN}
    assert kinds(position=position_of(Run().ledger, 4)) == {Kind.POSITION_UNKNOWN}


def test_read_before_its_awards_were_asked_for_is_found() -> None:
    assert kinds(began=0.1, ended=4.3) == {Kind.POSITION_EARLY}


def test_read_older_than_asked_for_is_found() -> None:
    assert kinds(min_revision=5) == set()
    assert kinds(min_revision=6) == {Kind.READ_OLD}


@pytest.mark.parametrize(
    ("at", "others", "expected"),
    [
        (1.9 + STALE, [], set()),  # What it lacks was told less long ago.
        (3.3 + STALE, [], {Kind.READ_STALE}),
        (3.3 + STALE, [Fault(name="killed", target="score-1", began=0.1, ended=1.0)], set()),
        (11.1, [], set()),  # Writes are taken again.
    ],
)
def test_read_that_lacks_what_was_told_long_before_is_found_while_redis_rejects_writes(
    at: float, others: list[Fault], expected: set[Kind]
) -> None:
    run = Run()
    run.events.append(read_at(run.ledger, 1, began=at, ended=at + 0.1))
    run.events += [Fault(name="full", target="valkey", began=0.9, ended=11.0), *others]
    assert run.kinds() == expected


TOP = read_at(Run().ledger, 5).top or ()
ADA = read_at(Run().ledger, 5).rows[0]


@pytest.mark.parametrize(
    "changes",
    [
        {"top": TOP[:2]},
        {"top": (TOP[1], TOP[0], TOP[2])},
        {"top": (TOP[0]._replace(total=10), *TOP[1:])},
        {"top": (TOP[0]._replace(reached_revision=3), *TOP[1:])},
        {"top": (TOP[0]._replace(rank=None), *TOP[1:])},
        {"rows": (ADA._replace(total=6),)},
        {"rows": (ADA._replace(rank=1),)},
        {"rows": (ADA._replace(reached_revision=1),)},
        {"rows": (ADA, Row("max", 7, 4, 7))},
        {"rows": ()},
    ],
)
def test_read_that_shows_something_else_is_found(changes: dict[str, Any]) -> None:
    assert kinds(**changes) == {Kind.READ_WRONG}


def test_user_without_awards_is_left_out() -> None:
    assert kinds(users=("ada", "max")) == set()


def restored() -> Run:
    run = Run()
    run.events = [event for event in run.events if not hasattr(event, "stream")]
    run.restore([("zoe", 4), ("ada", 4)], keep=5)
    return run


def test_lost_history_is_read_until_it_is_noticed_and_no_longer() -> None:
    for at, expected in ((21.0, set()), (23.0, set()), (33.0, {Kind.POSITION_LOST})):
        run = restored()
        run.events.append(read_at(run.former[0], 7, began=at - 0.1, ended=at))
        assert run.kinds() == expected


def test_lost_history_is_read_as_it_was() -> None:
    run = restored()
    top = fold_of(run.ledger, 7).top(3)
    run.events.append(read_at(run.former[0], 7, began=21.0, ended=21.1, top=tuple(top)))

    assert run.kinds() == {Kind.READ_WRONG}
