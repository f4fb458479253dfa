"""Tickets that do not fit the ledger or their time, in one thing each."""

import uuid
from collections.abc import Iterable
from dataclasses import replace
from math import inf

import pytest
from tests.faults.synthetic import board_of, make_awards, make_ledger
from tests.faults.ticketed import LATE, LEDGER, NOW, USED, rejected, show, unknown

from faults.model.epochs import RECOVERY_SECONDS, Epochs
from faults.model.findings import Kind
from faults.model.history import Fault, Redemption, Restore
from faults.rules.awards import check_awards
from faults.rules.tickets import check_tickets


def unpaid(redemption: Redemption) -> Redemption:
    """Ask with a ticket for which nothing is in the ledger."""
    return replace(redemption, asked=redemption.asked._replace(award_id=str(uuid.UUID(int=7))))


BEN = unknown(0.0, place=1)


def kinds(*shown: Redemption, faults: Iterable[Fault] = (), restores: Iterable[Restore] = ()) -> set[Kind]:
    """Judge what was shown, beside the ticket of the other award."""
    faults, calls = list(faults), [*shown, BEN]
    epochs = Epochs(list(restores), faults)
    board = board_of(*[LEDGER] * len(epochs.spans))
    found = [*check_awards(board, calls, epochs)]
    assert not {finding.kind for finding in found} - {Kind.AWARD_INVENTED, Kind.AWARD_LOST}
    return {finding.kind for finding in check_tickets(board, calls, epochs, faults)}


def broken(name: str, target: str, began: float = 0.0, ended: float = inf) -> Fault:
    return Fault(name=name, target=target, began=began, ended=ended)


def test_ticket_that_is_paid_once_and_answered_as_used_after_that_has_no_findings() -> None:
    assert kinds(show()) == set()
    assert kinds(show(), show(1.1, result=USED), show(LATE + 1, result=USED)) == set()
    assert kinds(show(), show(LATE + 1, result=USED, has_result=False)) == set()
    assert kinds(unknown(1.0, "ReadError"), show(1.6, result=USED)) == set()


def test_ticket_answered_as_paid_twice_is_found() -> None:
    assert kinds(show(), show(1.1)) == {Kind.TICKET_DOUBLED}
    assert kinds(show(), unpaid(show()), unpaid(show())) == {Kind.TICKET_DOUBLED}


def test_award_of_which_no_ticket_was_given_is_invented() -> None:
    assert kinds() == {Kind.TICKET_INVENTED}
    assert kinds(unknown(1.0, is_genuine=False)) == {Kind.TICKET_INVENTED}
    assert kinds(unknown(1.0)) == set()


def test_award_by_an_issuer_outside_needs_a_ticket() -> None:
    awards = [award._replace(action_type="ticket:match") for award in make_awards([("ada", 3)])]
    found = check_tickets(board_of(make_ledger(awards)), [], Epochs([]), [])

    assert [finding.kind for finding in found] == [Kind.TICKET_INVENTED]


def test_award_of_another_kind_needs_no_ticket() -> None:
    board = board_of(make_ledger(make_awards([("ada", 3)])))

    assert [*check_tickets(board, [], Epochs([]), [])] == []


def test_changed_ticket_is_never_paid() -> None:
    forged = show(1.2, is_genuine=False, result=USED)

    assert kinds(show(), forged) == {Kind.TICKET_UNDUE}
    assert kinds(show(), rejected(1.2, "bad_ticket", is_genuine=False)) == set()


def test_ticket_with_another_result_is_never_paid() -> None:
    assert kinds(show(has_result=False)) == {Kind.TICKET_UNDUE}


def test_late_ticket_is_not_paid() -> None:
    assert kinds(show(LATE)) == {Kind.TICKET_UNDUE}
    assert kinds(show(LATE - 0.1)) == set()


def test_late_ticket_is_paid_where_an_earlier_try_in_time_had_no_outcome() -> None:
    assert kinds(unknown(1.0), show(LATE + 3)) == set()
    assert kinds(unknown(1.0, "ReadTimeout"), show(LATE + 3)) == set()
    assert kinds(unknown(LATE), show(LATE + 3)) == {Kind.TICKET_UNDUE}
    assert kinds(unknown(1.0, has_result=False), show(LATE + 3)) == {Kind.TICKET_UNDUE}
    assert kinds(rejected(LATE, "ticket_expired"), show(LATE + 3)) == {Kind.TICKET_UNDUE}


def test_ticket_in_time_is_not_rejected() -> None:
    for reason in ("ticket_expired", "bad_ticket", "ticket_data_mismatch"):
        assert kinds(rejected(1.0, reason), show(3.0)) == {Kind.TICKET_REJECTED}
    assert kinds(rejected(1.0, "rate_limited"), show(3.0)) == set()


def test_ticket_may_be_rejected_for_what_is_wrong_with_it() -> None:
    shown = [
        rejected(LATE - 0.2, "ticket_expired"),
        rejected(LATE + 1, "ticket_expired"),
        rejected(1.0, "ticket_data_mismatch", has_result=False),
        rejected(1.0, "bad_ticket", issued_at=NOW + 20),
    ]
    for one in shown:
        assert kinds(one, unknown(0.5, "ReadError")) == set()


def test_ticket_that_was_paid_is_not_rejected_later_whatever_is_wrong() -> None:
    assert kinds(show(), rejected(LATE + 1, "ticket_expired")) == {Kind.TICKET_REJECTED}
    assert kinds(show(), rejected(2.0, "ticket_data_mismatch", has_result=False)) == {Kind.TICKET_REJECTED}
    assert kinds(show(), rejected(1.2, "ticket_data_mismatch", has_result=False)) == set()


def test_ticket_that_was_answered_as_unavailable_in_time_is_still_good_later() -> None:
    late = unpaid(rejected(LATE + 60, "ticket_expired"))

    assert kinds(show(), unpaid(unknown(1.0)), late) == {Kind.TICKET_REJECTED}
    assert kinds(show(), unpaid(unknown(1.0, "ReadError")), late) == set()
    assert kinds(show(), unpaid(unknown(LATE - 0.2)), late) == set()
    assert kinds(show(), unpaid(unknown(1.0, has_result=False)), late) == set()


@pytest.mark.parametrize(
    ("target", "expected"),
    [
        ("postgres", set()),
        ("standby", set()),
        ("gateway-1", set()),
        ("gateway-1->postgres", set()),
        ("services", set()),
        ("score-1", {Kind.TICKET_REJECTED}),
        ("score-1->postgres", {Kind.TICKET_REJECTED}),
        ("gateway-1->score-2", {Kind.TICKET_REJECTED}),
        ("gateway-2->valkey", {Kind.TICKET_REJECTED}),
        ("players->gateways", {Kind.TICKET_REJECTED}),
    ],
)
def test_what_keeps_a_gateway_from_its_store_explains_that_it_kept_nothing(
    target: str, expected: set[Kind]
) -> None:
    shown = (show(), unpaid(unknown(1.0)), unpaid(rejected(LATE + 60, "ticket_expired")))

    assert kinds(*shown, faults=[broken("killed", target, ended=5.0)]) == expected
    just_before = broken("killed", target, began=-20.0, ended=1.0 - RECOVERY_SECONDS)
    assert kinds(*shown, faults=[just_before]) == expected
    assert kinds(*shown, faults=[broken("killed", target, began=10.0)]) == {Kind.TICKET_REJECTED}


def test_what_was_kept_may_be_lost_by_a_restore_of_an_older_copy() -> None:
    shown = (show(), unpaid(unknown(1.0)), unpaid(rejected(LATE + 60, "ticket_expired")))
    older = Restore(began=20.0, ended=21.0, former="", copied=1.2)

    assert kinds(*shown, restores=[older]) == set()
    assert kinds(*shown, restores=[replace(older, copied=15.0)]) == {Kind.TICKET_REJECTED}
    assert kinds(*shown, restores=[replace(older, copied=inf)]) == {Kind.TICKET_REJECTED}


def test_nothing_is_said_of_time_while_the_clock_of_a_gateway_is_wrong() -> None:
    skewed = [broken("skewed", "gateway-2")]

    assert kinds(show(LATE), faults=skewed) == set()
    assert kinds(rejected(1.0, "ticket_expired"), show(3.0), faults=skewed) == set()
    assert kinds(rejected(1.0, "bad_ticket"), show(3.0), faults=skewed) == set()
    assert kinds(show(LATE), faults=[broken("skewed", "score-1")]) == {Kind.TICKET_UNDUE}
