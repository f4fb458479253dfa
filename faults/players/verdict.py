"""What answers of the gateway say of the award that an answer or a ticket asks for. Pure."""

from typing import Final, NamedTuple

from faults.model.history import Outcome, Result
from faults.players.gateway_client import Answer

PAID: Final = frozenset({"action_token_used", "action_already_completed"})
"""It was made before, and the answer carries the first outcome, but for an award that is archived."""
NEVER: Final = frozenset({"wrong_answer", "action_token_foreign"})
"""What was wrong with this request was so from its first try on: none of them can have made anything."""
NOT_THIS_TIME: Final = frozenset(
    {
        "action_token_expired",
        "action_token_spent",
        "bad_action_token",
        "rate_limited",
        "score_limit_reached",
        "too_fast",
    }
)
"""This try makes nothing. One before it, whose answer was lost, may have or may yet."""
AGAIN: Final = frozenset({"unauthenticated", "body_too_slow"})
"""This try was not looked at; another one may be."""
NOT_FOR_THIS: Final = frozenset(
    {
        "bad_ticket",
        "body_too_slow",
        "rate_limited",
        "score_limit_reached",
        "ticket_data_mismatch",
        "ticket_expired",
    }
)
"""This request with a ticket makes nothing. Another one may."""
_OK: Final = 200


class Verdict(NamedTuple):
    """What is known after a try."""

    outcome: Outcome
    result: Result | None = None
    reason: str = ""
    final: bool = True
    """Whether another try would tell no more."""


def judge(answer: Answer, *, lost: bool) -> Verdict:
    """Return what is known of an award, where the answer to an earlier try of the same call was lost or not.

    Raises:
        UnexpectedAnswerError: The contract has no such answer to what was asked.
    """
    if answer.status == _OK:
        return Verdict(Outcome.MADE, _result(answer.body))
    if answer.code in PAID:
        return _judge_paid(answer)
    if answer.code in NEVER:
        return Verdict(Outcome.REJECTED, reason=answer.code)
    outcome = Outcome.UNKNOWN if lost else Outcome.REJECTED
    if answer.code in NOT_THIS_TIME:
        return Verdict(outcome, reason=answer.code)
    if answer.code in AGAIN:
        return Verdict(outcome, reason=answer.code, final=False)
    raise answer.unexpected()


def judge_ticket(answer: Answer) -> Verdict:
    """Return what is known of an award after one request with a ticket for it.

    Raises:
        UnexpectedAnswerError: The contract has no such answer to what was asked.
    """
    body = answer.body
    if answer.status == _OK:
        result = Result(body["scoreIncrease"], body["newTotalScore"], body["newRank"], replayed=False)
        return Verdict(Outcome.MADE, result)
    if answer.code == "ticket_used":
        return _judge_paid(answer, replayed=True)
    if answer.code in NOT_FOR_THIS:
        return Verdict(Outcome.REJECTED, reason=answer.code)
    raise answer.unexpected()


def _judge_paid(answer: Answer, *, replayed: bool | None = None) -> Verdict:
    if "award" not in answer.body:
        return Verdict(Outcome.ARCHIVED, reason=answer.code)
    return Verdict(Outcome.MADE, _result(answer.body["award"])._replace(replayed=replayed))


def _result(award: dict[str, int]) -> Result:
    return Result(points=award["pointsEarned"], total=award["newTotalScore"], rank=award["newRank"])
