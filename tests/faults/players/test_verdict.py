"""What answers of the gateway are taken to mean."""

import pytest

from faults.model.history import Outcome, Result
from faults.players.gateway_client import Answer, UnexpectedAnswerError
from faults.players.verdict import AGAIN, NEVER, NOT_FOR_THIS, NOT_THIS_TIME, PAID, judge, judge_ticket

_AWARD = {"pointsEarned": 5, "newTotalScore": 15, "newRank": None}


def _problem(code: str) -> Answer:
    return Answer(409, {"code": code, "award": _AWARD})


def test_payment_is_made() -> None:
    assert judge(Answer(200, {"success": True, **_AWARD}), lost=True)[:2] == (Outcome.MADE, Result(5, 15))


@pytest.mark.parametrize("code", sorted(PAID))
def test_repeated_payment_is_answered_as_the_first_was(code: str) -> None:
    verdict = judge(_problem(code), lost=False)
    assert verdict == (Outcome.MADE, Result(5, 15), "", True)


@pytest.mark.parametrize("code", sorted(PAID))
def test_payment_that_is_archived_is_answered_without_its_outcome(code: str) -> None:
    assert judge(Answer(409, {"code": code}), lost=False) == (Outcome.ARCHIVED, None, code, True)
    ticket = judge_ticket(Answer(409, {"code": "ticket_used"}))
    assert ticket == (Outcome.ARCHIVED, None, "ticket_used", True)


@pytest.mark.parametrize("code", sorted(NEVER))
@pytest.mark.parametrize("lost", [False, True])
def test_what_was_wrong_from_the_start_is_rejected_also_after_a_lost_answer(code: str, *, lost: bool) -> None:
    assert judge(_problem(code), lost=lost) == (Outcome.REJECTED, None, code, True)


@pytest.mark.parametrize("code", sorted(NOT_THIS_TIME))
def test_rejection_of_one_try_leaves_open_what_a_lost_one_did(code: str) -> None:
    assert judge(_problem(code), lost=False) == (Outcome.REJECTED, None, code, True)
    assert judge(_problem(code), lost=True) == (Outcome.UNKNOWN, None, code, True)


@pytest.mark.parametrize("code", sorted(AGAIN))
def test_request_that_nobody_looked_at_may_be_sent_again(code: str) -> None:
    assert not judge(_problem(code), lost=False).final


@pytest.mark.parametrize("code", ["", "not_found", "invalid_request", "action_not_found"])
def test_answer_that_no_request_of_ours_should_get_ends_the_run(code: str) -> None:
    with pytest.raises(UnexpectedAnswerError):
        judge(_problem(code), lost=False)


def test_redeemed_ticket_is_paid_first_or_before() -> None:
    paid = Answer(200, {"status": "success", "scoreIncrease": 5, "newTotalScore": 15, "newRank": 2})
    used = Answer(409, {"code": "ticket_used", "award": _AWARD})

    assert judge_ticket(paid) == (Outcome.MADE, Result(5, 15, 2, replayed=False), "", True)
    assert judge_ticket(used) == (Outcome.MADE, Result(5, 15, replayed=True), "", True)


@pytest.mark.parametrize("code", sorted(NOT_FOR_THIS))
def test_ticket_that_was_rejected_is_not_paid_by_that_request(code: str) -> None:
    assert judge_ticket(_problem(code)) == (Outcome.REJECTED, None, code, True)


@pytest.mark.parametrize("code", ["", "unauthenticated", "action_already_completed"])
def test_answer_that_no_ticket_of_ours_should_get_ends_the_run(code: str) -> None:
    with pytest.raises(UnexpectedAnswerError):
        judge_ticket(_problem(code))
