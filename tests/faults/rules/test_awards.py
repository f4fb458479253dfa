"""Calls that do not fit the ledger, in one thing each."""

import uuid
from dataclasses import replace
from math import inf
from typing import Any

import pytest
from tests.faults.archived import archive
from tests.faults.synthetic import NO_RESTORES, WINS, Run, board_of, call_for, make_awards, make_ledger

from faults.model.epochs import Epochs
from faults.model.findings import Kind
from faults.model.history import AwardCall, Fault, Outcome, Restore, Result
from faults.rules.awards import CONFLICT, EXPIRY_LEEWAY, check_awards

LEDGER = make_ledger(make_awards(WINS), [1, 2, 1, 1, 2, 1])
CALLS = tuple(call_for(award, LEDGER) for award in LEDGER.awards)
RESULT = CALLS[2].result or Result(0, 0)


def kinds(*changed: AwardCall, without: int | None = None) -> set[Kind]:
    """Judge the right calls, but for one, with others added."""
    calls = [call for place, call in enumerate(CALLS) if place != without]
    return {finding.kind for finding in check_awards(board_of(LEDGER), [*calls, *changed], NO_RESTORES)}


def unknown(call: AwardCall) -> AwardCall:
    return replace(call, outcome=Outcome.UNKNOWN, result=None)


def rejected(call: AwardCall, reason: str = "QUOTA_EXCEEDED") -> AwardCall:
    return replace(call, outcome=Outcome.REJECTED, result=None, reason=reason)


def again(call: AwardCall) -> AwardCall:
    """Ask with another request."""
    asked = call.asked._replace(request_id=str(uuid.uuid4()))
    result = call.result and call.result._replace(replayed=True)
    return replace(call, asked=asked, result=result, began=call.ended + 1, ended=call.ended + 2)


def other(call: AwardCall) -> AwardCall:
    """Ask for another payload under the same id."""
    return replace(call, asked=call.asked._replace(points=99, request_id=str(uuid.uuid4())))


def test_right_calls_have_no_findings() -> None:
    assert kinds() == set()


@pytest.mark.parametrize(
    ("expired_for", "skewed", "expected"),
    [
        (EXPIRY_LEEWAY - 0.1, (), set()),
        (EXPIRY_LEEWAY + 0.1, (), {Kind.EXPIRED_ANSWERED}),
        (EXPIRY_LEEWAY + 0.1, ("score-2",), set()),  # By its clock the certificate may be valid.
        (EXPIRY_LEEWAY + 0.1, ("gateway-1",), {Kind.EXPIRED_ANSWERED}),
    ],
)
def test_award_answered_to_a_caller_whose_certificate_had_expired_is_found(
    expired_for: float, skewed: tuple[str, ...], expected: set[Kind]
) -> None:
    times = {"began": CALLS[2].began, "ended": CALLS[2].ended}
    epochs = Epochs([], [Fault(name="skewed", target=target, **times) for target in skewed])

    def judge(call: AwardCall) -> set[Kind]:
        late, calls = replace(call, expired_for=expired_for), [*CALLS[:2], *CALLS[3:]]
        return {finding.kind for finding in check_awards(board_of(LEDGER), [*calls, late], epochs)}

    assert judge(CALLS[2]) == expected
    assert judge(unknown(CALLS[2])) == set()


def test_award_that_is_made_again_is_answered_as_replayed() -> None:
    assert kinds(again(CALLS[2])) == set()
    assert kinds(replace(again(CALLS[2]), result=RESULT)) == {Kind.REPLAY_WRONG}
    assert kinds(replace(CALLS[2], result=RESULT._replace(replayed=True))) == {Kind.REPLAY_WRONG}


def test_award_answered_as_made_that_is_not_there_is_lost() -> None:
    gone = replace(CALLS[2], asked=CALLS[2].asked._replace(award_id=str(uuid.uuid4())))

    assert kinds(gone) == {Kind.AWARD_LOST}
    assert kinds(unknown(gone)) == set()
    assert kinds(rejected(gone)) == set()


def test_award_that_nobody_asked_for_is_invented() -> None:
    assert kinds(without=2) == {Kind.AWARD_INVENTED}


def test_award_of_which_the_outcome_is_unknown_may_be_there() -> None:
    assert kinds(unknown(CALLS[2]), without=2) == set()


def test_award_asked_for_with_another_payload_alone_is_invented() -> None:
    assert kinds(unknown(other(CALLS[2])), without=2) == {Kind.AWARD_INVENTED}
    foreign = CALLS[2].asked._replace(request_id=str(uuid.uuid4()))
    assert kinds(unknown(replace(CALLS[2], asked=foreign)), without=2) == {Kind.AWARD_INVENTED}


def test_award_of_the_gateway_is_known_without_its_request() -> None:
    asked = CALLS[2].asked._replace(request_id=None)
    result = Result(points=RESULT.points, total=RESULT.total)

    assert kinds(replace(CALLS[2], asked=asked, result=result), without=2) == set()


def test_rejected_award_is_not_there() -> None:
    assert kinds(rejected(CALLS[2]), without=2) == {Kind.REJECTED_MADE}


def test_rejected_award_may_be_made_by_another_call() -> None:
    assert kinds(rejected(CALLS[2])) == set()
    assert kinds(rejected(CALLS[2]), unknown(CALLS[2]), without=2) == set()


def test_conflict_needs_another_award_under_the_id() -> None:
    assert kinds(rejected(other(CALLS[2]), CONFLICT)) == set()
    assert kinds(rejected(again(CALLS[2]), CONFLICT)) == {Kind.CONFLICT_WRONG}
    gone = replace(CALLS[2], asked=CALLS[2].asked._replace(award_id=str(uuid.uuid4())))
    assert kinds(rejected(gone, CONFLICT)) == {Kind.CONFLICT_WRONG}


def test_conflict_answered_as_made_is_found() -> None:
    assert kinds(other(CALLS[2])) == {Kind.PAYLOAD_WRONG}


def test_answer_is_what_the_ledger_has() -> None:
    for wrong in (
        RESULT._replace(points=7),
        RESULT._replace(total=RESULT.total + 1),
        RESULT._replace(revision=4),
        RESULT._replace(position=RESULT.position and RESULT.position.replace("-", "-0")),
    ):
        assert kinds(replace(CALLS[2], result=wrong)) == {Kind.RESULT_WRONG}


def test_award_requested_after_another_was_answered_comes_after_it() -> None:
    late = replace(CALLS[2], began=CALLS[3].ended + 0.1, ended=CALLS[3].ended + 1)

    assert kinds(late, without=2) == {Kind.ORDER_WRONG}


def test_awards_asked_for_at_the_same_time_come_in_any_order() -> None:
    late = replace(CALLS[2], began=CALLS[3].ended - 0.1, ended=CALLS[3].ended + 1)

    assert kinds(late, without=2) == set()


def restored(keep: int = 5) -> Run:
    run = Run()
    run.events = [event for event in run.events if isinstance(event, AwardCall)]
    run.samples = []
    run.restore([("zoe", 4)], keep=keep)
    return run


def test_award_answered_in_an_epoch_is_in_the_record_of_that_epoch() -> None:
    run = restored()
    lost = run.former[0].awards[6]
    assert run.kinds() == set()

    run.events.append(call_for(lost, run.former[0], began=22.0, ended=22.1))

    assert run.kinds() == {Kind.AWARD_LOST}


def test_award_that_was_lost_may_be_made_again() -> None:
    run = restored()
    lost = run.former[0].awards[6]
    remade = make_awards([(lost.user_id, lost.points)], run.ledger.awards)[-1]
    remade = remade._replace(award_id=lost.award_id, request_id=lost.request_id, awarded_at=1)
    run.ledger = make_ledger([*run.ledger.awards, remade], [1, 2, 1, 1, 1, 1])
    run.projections = []
    run.events.append(call_for(remade, run.ledger, began=40.0, ended=40.1))

    assert run.kinds() == {Kind.PROJECTION_MISSING}


def test_conflict_with_an_award_of_the_next_epoch_leaves_open_what_the_one_before_had() -> None:
    run = restored()
    lost = run.former[0].awards[6]
    (rival,) = make_awards([("zoe", 8)], run.ledger.awards)[-1:]
    rival = rival._replace(award_id=lost.award_id, awarded_at=1)
    run.ledger = make_ledger([*run.ledger.awards, rival], [1, 2, 1, 1, 1, 1])
    run.projections = []
    run.events = [
        replace(event, outcome=Outcome.REJECTED, result=None, reason=CONFLICT, ended=41.0)
        if isinstance(event, AwardCall) and event.asked.award_id == lost.award_id
        else event
        for event in run.events
    ]
    run.events.append(call_for(rival, run.ledger, began=40.0, ended=40.1))

    assert run.kinds() == {Kind.PROJECTION_MISSING}


def test_award_answered_before_the_copy_is_in_it() -> None:
    run = restored(keep=5)
    run.change(0, Restore, copied=9.0)

    assert run.kinds() == {Kind.AWARD_NOT_COPIED}


def test_award_answered_at_any_time_is_with_the_standby_that_took_over() -> None:
    run = restored(keep=5)
    run.change(0, Restore, copied=inf)

    assert run.kinds() == {Kind.AWARD_LOST}


def archived(call: AwardCall, **changes: Any) -> AwardCall:
    later = {"began": 10.0, "ended": 10.1, "revision": call.result and call.result.revision}
    return replace(call, outcome=Outcome.ARCHIVED, result=None, **{**later, **changes})


def test_award_up_to_the_cut_may_be_answered_as_archived_whatever_was_asked_for() -> None:
    board = board_of(archive(LEDGER, 4))
    told = [archived(CALLS[2]), archived(CALLS[2], revision=None), archived(other(CALLS[2]))]
    assert list(check_awards(board, [*CALLS, *told], NO_RESTORES)) == []


@pytest.mark.parametrize(
    "wrong",
    [
        archived(CALLS[5]),
        archived(CALLS[2], revision=2),
        archived(replace(CALLS[2], asked=CALLS[2].asked._replace(award_id=str(uuid.uuid4())))),
        archived(CALLS[2], began=3.0, ended=3.1),
    ],
)
def test_what_is_not_up_to_a_cut_and_is_answered_as_archived_is_found(wrong: AwardCall) -> None:
    """It is after the cut, is told with another revision, was never made, or was not archived yet."""
    found = check_awards(board_of(archive(LEDGER, 4)), [*CALLS, wrong], NO_RESTORES)
    assert {finding.kind for finding in found} == {Kind.ARCHIVED_WRONG}
