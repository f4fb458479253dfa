"""Users who are hidden, and are shown."""

from dataclasses import replace
from typing import Any

from tests.faults.corrected import fold_all, position_at, run_of, show
from tests.faults.synthetic import BOARD, Run, message_at

from faults.model.findings import Kind
from faults.model.history import Event, Outcome, Read, Row, VisibilityCall
from faults.rules.reads import LAG

LEDGER = show(Run().ledger, "eve", "hidden")
EVE = Row("eve", 9, 1, 4, hidden=False)


def read(at: float, *, top: tuple[Row, ...] | None = None, revision: int = 9, **changes: Any) -> Read:
    whole = Read(
        reader="backend-1",
        board_id=BOARD,
        began=at,
        ended=at + 0.1,
        revision=revision,
        position=position_at(LEDGER, revision),
        source="cache",
        top=top,
        page_size=1,
    )
    return replace(whole, **changes)


def kinds(*events: Event, **changes: Any) -> set[Kind]:
    run = run_of(LEDGER)
    if changes:
        run.change(0, VisibilityCall, **changes)
    run.events += events
    return run.kinds()


def test_right_run_with_a_hidden_user_has_no_findings() -> None:
    assert run_of(LEDGER).check().describe() == []
    assert kinds(read(9.5, top=tuple(fold_all(LEDGER).top(1)))) == set()


def test_hidden_user_in_one_read_is_found() -> None:
    assert kinds(read(9.5, top=(EVE,))) == {Kind.READ_WRONG}


def test_read_of_a_hidden_user_says_that_it_is_hidden() -> None:
    hidden = EVE._replace(rank=None, hidden=True)

    assert kinds(read(9.5, users=("eve",), rows=(hidden,))) == set()
    for wrong in (EVE, EVE._replace(rank=None), hidden._replace(rank=1)):
        assert kinds(read(9.5, users=("eve",), rows=(wrong,))) == {Kind.READ_WRONG}


def test_hidden_user_in_an_old_read_is_found_long_after_that_was_answered() -> None:
    assert kinds(read(9.5, top=(EVE,), revision=8)) == set()
    assert kinds(read(9.5 + LAG, top=(EVE,), revision=8)) == {Kind.HIDDEN_SHOWN}


def test_hidden_user_in_an_old_message_is_found_long_after_that_was_answered() -> None:
    (top,) = [message_at(Run().ledger, 8, "snapshot", at=9.5 + LAG, top=(EVE,), top_n=1)]

    assert Kind.HIDDEN_SHOWN in kinds(top)


def test_user_may_be_seen_once_that_was_asked_for() -> None:
    shown = VisibilityCall(
        caller="backend-1",
        board_id=BOARD,
        user_id="eve",
        visibility="visible",
        began=9.4,
        ended=9.6,
        outcome=Outcome.UNKNOWN,
    )

    assert kinds(shown, read(9.5 + LAG, top=(EVE,), revision=8)) == set()


def test_visibility_that_nobody_asked_for_is_found() -> None:
    assert kinds(user_id="ada", outcome=Outcome.UNKNOWN) == {Kind.VISIBILITY_INVENTED}


def test_visibility_that_was_answered_and_is_not_there_is_found() -> None:
    assert kinds(position="9-0123456789abcdef") == {Kind.VISIBILITY_LOST}
    assert kinds(revision=8) == {Kind.VISIBILITY_WRONG}
