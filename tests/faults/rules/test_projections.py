"""Boards in Redis that are wrong in one thing each."""

from dataclasses import replace
from typing import Any

import pytest
from tests.faults.synthetic import Run, project

from faults.model.findings import Kind
from faults.model.projection import ALL_TIME, Header, Standings

RIGHT = project(Run().ledger)
HEADER = RIGHT.header or Header("", "", "")
WHOLE = RIGHT.periods[ALL_TIME]
FIRST, *OTHERS = WHOLE.ranks


def kinds(**changes: Any) -> set[Kind]:
    run = Run()
    run.projections = [replace(RIGHT, **changes)]
    return run.kinds()


def test_board_that_redis_does_not_have_is_missing() -> None:
    assert kinds(header=None) == {Kind.PROJECTION_MISSING}
    run = Run()
    run.projections = []
    assert run.kinds() == {Kind.PROJECTION_MISSING}


def test_board_that_is_behind_is_found_and_is_the_fold_there() -> None:
    behind = project(Run().ledger, 5)

    assert kinds(header=behind.header, periods=behind.periods) == {Kind.PROJECTION_BEHIND}
    assert kinds(header=behind.header) == {Kind.PROJECTION_BEHIND, Kind.PROJECTION_WRONG}


def test_position_that_the_record_does_not_have_is_foreign() -> None:
    assert kinds(header=HEADER._replace(mark="0123456789abcdef")) == {Kind.PROJECTION_FOREIGN}
    assert kinds(header=HEADER._replace(revision="9")) == {Kind.PROJECTION_FOREIGN}


def test_keys_that_nothing_names_are_found() -> None:
    assert kinds(strays=["laurel:{main}:dead:all_time:ranks"]) == {Kind.PROJECTION_STRAY}


@pytest.mark.parametrize(
    "changes",
    [
        {"members": "4"},
        {"ranks": OTHERS},
        {"ranks": [(FIRST[0], "10"), *OTHERS]},
        {"ranks": [FIRST, *OTHERS[::-1]]},
        {"ranks": [("0" * 16 + FIRST[0][16:], FIRST[1]), *OTHERS]},
        {"ranks": [("eve", "9"), *OTHERS]},
        {"totals": {**WHOLE.totals, "ada": "13:8"}},
        {"totals": {**WHOLE.totals, "ada": "8:7"}},
        {"totals": {**WHOLE.totals, "ada": "8"}},
        {"totals": {user_id: text for user_id, text in WHOLE.totals.items() if user_id != "ada"}},
        {"totals": {**WHOLE.totals, "zoe": "1:1"}},
    ],
)
def test_board_that_is_not_the_fold_is_found(changes: dict[str, Any]) -> None:
    assert kinds(periods={ALL_TIME: replace(WHOLE, **changes)}) == {Kind.PROJECTION_WRONG}


def test_periods_that_are_not_open_at_the_position_must_not_be_there() -> None:
    assert kinds(periods={**RIGHT.periods, "day:2026-11-30": Standings()}) == {Kind.PROJECTION_WRONG}
    assert kinds(periods={}) == {Kind.PROJECTION_WRONG}


def test_sample_may_be_missing_or_behind_and_not_wrong() -> None:
    run = Run()
    sample = project(run.ledger, 4)
    run.samples = [replace(sample, header=None), sample]
    assert run.kinds() == set()

    shown = sample.periods[ALL_TIME]
    bent = replace(shown, totals={**shown.totals, "ada": "9:3"})
    run.samples = [replace(sample, periods={ALL_TIME: bent})]
    assert run.kinds() == {Kind.PROJECTION_WRONG}

    run.samples = [replace(sample, header=HEADER._replace(mark="0123456789abcdef"))]
    assert run.kinds() == {Kind.PROJECTION_FOREIGN}


def test_lost_history_is_there_until_it_is_noticed_and_no_longer() -> None:
    for at, expected in ((22.0, set()), (33.0, {Kind.PROJECTION_FOREIGN})):
        run = Run()
        run.events = [event for event in run.events if not hasattr(event, "stream")]
        run.restore([("zoe", 4), ("ada", 4)], keep=5)
        run.samples = [replace(project(run.former[0]), read_at=at)]
        assert run.kinds() == expected
