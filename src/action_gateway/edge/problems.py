"""THE table from exception to problem document (RFC 9457), and the documents it makes."""

import math
from collections.abc import Iterable, Mapping
from http import HTTPStatus
from typing import Any, Final, NamedTuple

from pydantic import BaseModel, ConfigDict, Field
from pydantic.alias_generators import to_camel
from starlette.responses import JSONResponse, Response

from action_gateway import errors
from action_gateway.domain.payment import Payment
from action_gateway.domain.reversal import ShownReversal
from action_gateway.request_context import note_problem
from score_client.types import Reversal

MEDIA_TYPE: Final = "application/problem+json"


class Kind(NamedTuple):
    """What an exception is on the wire."""

    status: HTTPStatus
    code: str


KINDS: Final[Mapping[type[Exception], Kind]] = {
    errors.InvalidRequestError: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "invalid_request"),
    errors.UnauthenticatedError: Kind(HTTPStatus.UNAUTHORIZED, "unauthenticated"),
    errors.BadCredentialsError: Kind(HTTPStatus.UNAUTHORIZED, "bad_credentials"),
    errors.RegistrationClosedError: Kind(HTTPStatus.FORBIDDEN, "registration_closed"),
    errors.UsernameTakenError: Kind(HTTPStatus.CONFLICT, "username_taken"),
    errors.BadRefreshTokenError: Kind(HTTPStatus.UNAUTHORIZED, "bad_refresh_token"),
    errors.ActionNotFoundError: Kind(HTTPStatus.NOT_FOUND, "action_not_found"),
    errors.PeriodUnknownError: Kind(HTTPStatus.NOT_FOUND, "period_unknown"),
    errors.BadActionTokenError: Kind(HTTPStatus.BAD_REQUEST, "bad_action_token"),
    errors.ActionTokenForeignError: Kind(HTTPStatus.FORBIDDEN, "action_token_foreign"),
    errors.ActionTokenExpiredError: Kind(HTTPStatus.BAD_REQUEST, "action_token_expired"),
    errors.ActionTokenSpentError: Kind(HTTPStatus.CONFLICT, "action_token_spent"),
    errors.ActionTokenUsedError: Kind(HTTPStatus.CONFLICT, "action_token_used"),
    errors.ActionCompletedError: Kind(HTTPStatus.CONFLICT, "action_already_completed"),
    errors.BadTicketError: Kind(HTTPStatus.UNAUTHORIZED, "bad_ticket"),
    errors.TicketExpiredError: Kind(HTTPStatus.BAD_REQUEST, "ticket_expired"),
    errors.TicketUsedError: Kind(HTTPStatus.CONFLICT, "ticket_used"),
    errors.TicketDataMismatchError: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "ticket_data_mismatch"),
    errors.TooFastError: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "too_fast"),
    errors.WrongAnswerError: Kind(HTTPStatus.UNPROCESSABLE_ENTITY, "wrong_answer"),
    errors.ScoreLimitError: Kind(HTTPStatus.CONFLICT, "score_limit_reached"),
    errors.ModeratorOnlyError: Kind(HTTPStatus.FORBIDDEN, "moderator_only"),
    errors.PlayerNotFoundError: Kind(HTTPStatus.NOT_FOUND, "player_not_found"),
    errors.BoardNotFoundError: Kind(HTTPStatus.NOT_FOUND, "board_not_found"),
    errors.StandingNotFoundError: Kind(HTTPStatus.NOT_FOUND, "standing_not_found"),
    errors.AwardNotFoundError: Kind(HTTPStatus.NOT_FOUND, "award_not_found"),
    errors.AwardReversedError: Kind(HTTPStatus.CONFLICT, "award_reversed"),
    errors.AwardArchivedError: Kind(HTTPStatus.CONFLICT, "award_archived"),
    errors.PlanStaleError: Kind(HTTPStatus.CONFLICT, "plan_stale"),
    errors.ScoreServiceDeniedError: Kind(HTTPStatus.BAD_GATEWAY, "score_service_denied"),
    errors.RateLimitedError: Kind(HTTPStatus.TOO_MANY_REQUESTS, "rate_limited"),
    errors.UnavailableError: Kind(HTTPStatus.SERVICE_UNAVAILABLE, "unavailable"),
    errors.HeadersTooLargeError: Kind(HTTPStatus.REQUEST_HEADER_FIELDS_TOO_LARGE, "headers_too_large"),
    errors.BodyTooLargeError: Kind(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "body_too_large"),
    errors.BodyTooSlowError: Kind(HTTPStatus.REQUEST_TIMEOUT, "body_too_slow"),
    errors.UnsupportedMediaTypeError: Kind(HTTPStatus.UNSUPPORTED_MEDIA_TYPE, "unsupported_media_type"),
    errors.NotFoundError: Kind(HTTPStatus.NOT_FOUND, "not_found"),
    errors.MethodNotAllowedError: Kind(HTTPStatus.METHOD_NOT_ALLOWED, "method_not_allowed"),
    errors.GatewayError: Kind(HTTPStatus.INTERNAL_SERVER_ERROR, "internal"),
}

_ANYWHERE: Final = (errors.RateLimitedError, errors.HeadersTooLargeError)

_RETRY_AFTER: Final = {
    "Retry-After": {
        "description": "seconds after which to try again",
        "required": True,
        "schema": {"type": "integer", "minimum": 1},
    }
}
_CHALLENGE: Final = {"WWW-Authenticate": {"required": True, "schema": {"type": "string", "const": "Bearer"}}}
_DESCRIBED_HEADERS: Final = {
    HTTPStatus.UNAUTHORIZED: {"headers": _CHALLENGE},
    HTTPStatus.TOO_MANY_REQUESTS: {"headers": _RETRY_AFTER},
    HTTPStatus.SERVICE_UNAVAILABLE: {"headers": _RETRY_AFTER},
}


class Problem(BaseModel):
    """Why a request failed. `code` is for programs, `detail` for people; the other members depend on it."""

    model_config = ConfigDict(alias_generator=to_camel, validate_by_name=True)

    type: str
    title: str
    status: int
    detail: str
    code: str
    fields: dict[str, str] | None = Field(default=None, description="of invalid_request: what is wrong where")
    attempts_left: int | None = Field(default=None, description="of wrong_answer")
    reversal: ShownReversal | None = Field(
        default=None, description="of award_reversed: the reversal that stands"
    )
    methods: list[str] | None = Field(
        default=None, description="of score_service_denied: what its policy has to allow the gateway"
    )
    award: Payment | None = Field(
        default=None,
        description="of action_token_used, ticket_used and action_already_completed: the first outcome; "
        "absent where it is archived",
    )


def answer(error: errors.GatewayError) -> Response:
    """Make the response that an exception of ours becomes, and note its code for the request's log line."""
    note_problem(KINDS[type(error)].code)
    return make_response(error)


def make_response(error: errors.GatewayError) -> Response:
    """Make the response that an exception of ours becomes, outside of any request."""
    kind = KINDS[type(error)]
    problem = Problem(
        type=f"urn:laurel:problem:{kind.code}",
        title=(type(error).__doc__ or "").strip(),
        status=int(kind.status),
        detail=str(error),
        code=kind.code,
        **_members(error),
    )
    return JSONResponse(
        problem.model_dump(mode="json", by_alias=True, exclude_unset=True),
        int(kind.status),
        headers=_headers(error, kind),
        media_type=MEDIA_TYPE,
    )


def describe(kinds: Iterable[type[errors.GatewayError]]) -> dict[int | str, dict[str, Any]]:
    """Describe for OpenAPI the responses that these exceptions become, and those that any request may get."""
    codes: dict[HTTPStatus, list[str]] = {}
    for kind in (KINDS[exception] for exception in dict.fromkeys([*kinds, *_ANYWHERE])):
        codes.setdefault(kind.status, []).append(f"`{kind.code}`")
    body = {"content": {MEDIA_TYPE: {"schema": {"$ref": "#/components/schemas/Problem"}}}}
    return {
        int(status): {"description": ", ".join(names), **body, **_DESCRIBED_HEADERS.get(status, {})}
        for status, names in sorted(codes.items())
    }


def _members(error: errors.GatewayError) -> dict[str, Any]:
    match error:
        case errors.InvalidRequestError():
            return {"fields": error.fields}
        case errors.WrongAnswerError():
            return {"attempts_left": error.attempts_left}
        case errors.AwardReversedError(reversal=Reversal() as reversal):
            return {"reversal": ShownReversal.of(reversal)}
        case errors.ScoreServiceDeniedError():
            return {"methods": list(error.methods)}
        case errors.PaidError(payment=Payment() as payment):
            return {"award": payment}
    return {}


def _headers(error: errors.GatewayError, kind: Kind) -> dict[str, str]:
    if kind.status is HTTPStatus.UNAUTHORIZED:
        return {"WWW-Authenticate": "Bearer"}
    if isinstance(error, (errors.RateLimitedError, errors.UnavailableError)):
        return {"Retry-After": str(max(1, math.ceil(error.retry_after)))}
    return {}
