"""The table from exception to problem document."""

import json
from datetime import UTC, datetime
from uuid import UUID

import pytest

from action_gateway import errors
from action_gateway.domain.payment import Payment
from action_gateway.edge.problems import KINDS, MEDIA_TYPE, answer, describe
from action_gateway.errors import GatewayError
from score_client.types import Reversal

PAYMENT = Payment(points=5, total=25, rank=None)
REVERSAL = Reversal(
    reversal_id=UUID(int=1),
    award_id=UUID(int=2),
    award_revision=1,
    user_id="ada",
    points=5,
    total=20,
    revision=7,
    position="7-00",
    reason="A mistake.",
    actor="spiffe://laurel.local/action-gateway",
    on_behalf_of="mod",
    recorded_at=datetime(2026, 11, 30, tzinfo=UTC),
    final_periods=("day:2026-11-29",),
)
INSTANCES: list[GatewayError] = [
    errors.InvalidRequestError({"body.username": "is too short"}),
    errors.UnauthenticatedError(),
    errors.BadCredentialsError(),
    errors.RegistrationClosedError(),
    errors.UsernameTakenError(),
    errors.BadRefreshTokenError(),
    errors.ActionNotFoundError(),
    errors.PeriodUnknownError(),
    errors.BadActionTokenError(),
    errors.ActionTokenForeignError(),
    errors.ActionTokenExpiredError(),
    errors.ActionTokenSpentError(),
    errors.ActionTokenUsedError(PAYMENT),
    errors.BadTicketError(),
    errors.TicketExpiredError(),
    errors.TicketUsedError(PAYMENT),
    errors.TicketDataMismatchError(),
    errors.ActionCompletedError(PAYMENT),
    errors.TooFastError(),
    errors.WrongAnswerError(3),
    errors.ScoreLimitError(),
    errors.ModeratorOnlyError(),
    errors.PlayerNotFoundError(),
    errors.BoardNotFoundError(),
    errors.StandingNotFoundError(),
    errors.AwardNotFoundError(),
    errors.AwardReversedError(REVERSAL),
    errors.AwardArchivedError(),
    errors.PlanStaleError(),
    errors.ScoreServiceDeniedError(["score_api.v1.LedgerService/ListAwards"]),
    errors.RateLimitedError(12.2),
    errors.UnavailableError(0.2),
    errors.NotFoundError(),
    errors.MethodNotAllowedError(),
    errors.UnsupportedMediaTypeError(),
    errors.HeadersTooLargeError(),
    errors.BodyTooLargeError(),
    errors.BodyTooSlowError(),
    errors.GatewayError(),
]


def leaves(kind: type[GatewayError]) -> set[type[GatewayError]]:
    """Find all exceptions below one that have none below themselves."""
    below = kind.__subclasses__()
    return set().union(*map(leaves, below)) if below else {kind}


def test_every_exception_has_its_row() -> None:
    assert leaves(GatewayError) | {GatewayError} == set(KINDS)
    assert {type(error) for error in INSTANCES} == set(KINDS)


def test_no_code_is_used_twice() -> None:
    codes = [kind.code for kind in KINDS.values()]

    assert len(codes) == len(set(codes))


@pytest.mark.parametrize("error", INSTANCES, ids=lambda error: KINDS[type(error)].code)
def test_a_problem_has_all_members(error: GatewayError) -> None:
    response = answer(error)
    body = json.loads(bytes(response.body))

    assert response.headers["content-type"] == MEDIA_TYPE
    assert body["status"] == response.status_code
    assert body["type"] == f"urn:laurel:problem:{body['code']}"
    assert body["title"] == type(error).__doc__
    assert body["detail"]
    assert (response.headers.get("www-authenticate") == "Bearer") == (response.status_code == 401)
    assert ("retry-after" in response.headers) == (response.status_code in {429, 503})


def test_the_members_of_each_kind_are_there() -> None:
    def members(error: GatewayError) -> dict[str, object]:
        body: dict[str, object] = json.loads(bytes(answer(error).body))
        return {name: body[name] for name in body.keys() - {"type", "title", "status", "detail", "code"}}

    award = {"pointsEarned": 5, "newTotalScore": 25, "newRank": None}
    assert members(errors.WrongAnswerError(3)) == {"attemptsLeft": 3}
    assert members(errors.ActionTokenUsedError(PAYMENT)) == {"award": award}
    assert members(errors.ActionCompletedError(PAYMENT)) == {"award": award}
    assert members(errors.TicketUsedError(None)) == {}
    assert members(errors.InvalidRequestError({"a": "b"})) == {"fields": {"a": "b"}}
    assert members(errors.TooFastError()) == {}
    assert members(errors.ScoreServiceDeniedError(["a/B"])) == {"methods": ["a/B"]}
    assert members(errors.AwardReversedError(None)) == {}
    assert members(errors.AwardReversedError(REVERSAL)) == {
        "reversal": {
            "reversalId": str(UUID(int=1)),
            "awardId": str(UUID(int=2)),
            "points": 5,
            "total": 20,
            "revision": 7,
            "reason": "A mistake.",
            "actor": "spiffe://laurel.local/action-gateway",
            "onBehalfOf": "mod",
            "recordedAt": "2026-11-30T00:00:00Z",
            "finalPeriods": ["day:2026-11-29"],
        }
    }


@pytest.mark.parametrize(("seconds", "header"), [(0.0, "1"), (0.2, "1"), (12.2, "13"), (60.0, "60")])
def test_retry_after_is_whole_seconds_rounded_up(seconds: float, header: str) -> None:
    assert answer(errors.RateLimitedError(seconds)).headers["retry-after"] == header
    assert answer(errors.UnavailableError(seconds)).headers["retry-after"] == header


def test_the_description_lists_the_codes_of_each_status_and_those_that_any_request_may_get() -> None:
    described = describe([errors.ActionTokenUsedError, errors.ActionTokenSpentError, errors.TooFastError])

    assert [(status, response["description"]) for status, response in described.items()] == [
        (409, "`action_token_used`, `action_token_spent`"),
        (422, "`too_fast`"),
        (429, "`rate_limited`"),
        (431, "`headers_too_large`"),
    ]
