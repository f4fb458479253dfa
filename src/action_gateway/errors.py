"""The exceptions of the gateway. What each one becomes on the wire stands in `problems.py` alone.

    GatewayError
    ├── InvalidRequestError          the request is not as described
    ├── UnauthenticatedError         no access token, or one that does not count
    ├── BadCredentialsError          no such user, or another password
    ├── RegistrationClosedError      this gateway takes no new users
    ├── UsernameTakenError
    ├── BadRefreshTokenError         unknown, expired or used before
    ├── ActionNotFoundError
    ├── PeriodUnknownError           the board has no such period, or it has not begun
    ├── BadActionTokenError          not an action token of this gateway
    ├── ActionTokenForeignError      the token of another user
    ├── ActionTokenExpiredError
    ├── ActionTokenSpentError        no attempts left
    ├── PaidError                    the points were given before; carries them, if they are still known
    │   ├── ActionTokenUsedError     for this token
    │   ├── ActionCompletedError     for an action that pays once, or once a day
    │   └── TicketUsedError          for this ticket
    ├── BadTicketError               not a ticket that this gateway takes
    ├── TicketExpiredError
    ├── TicketDataMismatchError      the ticket of another result
    ├── TooFastError                 faster than the action can be done
    ├── WrongAnswerError
    ├── ScoreLimitError              the total would not be exact any more
    ├── ModeratorOnlyError           the account has not got the role
    ├── PlayerNotFoundError          no such name, and no points under the id
    ├── BoardNotFoundError
    ├── StandingNotFoundError        the player has no points there
    ├── AwardNotFoundError
    ├── AwardReversedError           it was taken back before; carries the reversal
    ├── AwardArchivedError           it is archived, and cannot be taken back any more
    ├── PlanStaleError               the board has changed since the plan was made
    ├── ScoreServiceDeniedError      the gateway may not do this at the score service
    ├── RateLimitedError
    ├── UnavailableError             the score service, PostgreSQL, Redis or a free worker is missing
    ├── NotFoundError                no such path
    ├── MethodNotAllowedError
    ├── UnsupportedMediaTypeError
    ├── HeadersTooLargeError
    ├── BodyTooLargeError
    └── BodyTooSlowError

The docstring of a class is its public text. Nothing that a client must not see may go into a message.
"""

from collections.abc import Mapping, Sequence

from pydantic.alias_generators import to_camel

import score_client.errors as score
from action_gateway.domain.payment import Payment
from score_client.types import Reversal


class GatewayError(Exception):
    """The request failed."""

    def __init__(self, message: str = "") -> None:
        super().__init__(message or (type(self).__doc__ or "").strip())


class InvalidRequestError(GatewayError):
    """The request is not as described."""

    def __init__(self, fields: Mapping[str, str]) -> None:
        """Take what is wrong with each faulty field, by its path in the request."""
        super().__init__()
        self.fields = dict(fields)


class UnauthenticatedError(GatewayError):
    """A valid access token is needed."""

    def __init__(self, *, forged: bool = False) -> None:
        """Take whether a token was shown that this gateway did not make, or not for this."""
        super().__init__()
        self.forged = forged


class BadCredentialsError(GatewayError):
    """The user name or the password is wrong."""

    def __init__(self, user_id: str | None = None) -> None:
        """Take whose password it was not; None where there is no such user."""
        super().__init__()
        self.user_id = user_id


class RegistrationClosedError(GatewayError):
    """New users are not taken here."""


class UsernameTakenError(GatewayError):
    """The user name is taken."""


class BadRefreshTokenError(GatewayError):
    """The refresh token is unknown, expired or was used before."""

    def __init__(self, reused_of: str | None = None) -> None:
        """Take whose session has ended because a token of it was used again."""
        super().__init__()
        self.reused_of = reused_of


class ActionNotFoundError(GatewayError):
    """There is no such action."""


class PeriodUnknownError(GatewayError):
    """The leaderboard has no such period, or it has not begun."""


class BadActionTokenError(GatewayError):
    """This is not an action token."""

    def __init__(self, *, forged: bool = False) -> None:
        """Take whether it is a token that this gateway did not make, or not for this."""
        super().__init__()
        self.forged = forged


class ActionTokenForeignError(GatewayError):
    """The action token was given to another user."""


class ActionTokenExpiredError(GatewayError):
    """The action token has expired."""


class ActionTokenSpentError(GatewayError):
    """The action token has no attempts left."""


class PaidError(GatewayError):
    """The points were given before."""

    def __init__(self, payment: Payment | None) -> None:
        """Take what was given the first time; None where that is archived."""
        super().__init__()
        self.payment = payment


class ActionTokenUsedError(PaidError):
    """The action token was used before."""

    def __init__(self, payment: Payment | None, *, repeated: bool = False) -> None:
        """Take whether this may be an earlier request over again, as its sender says."""
        super().__init__(payment)
        self.repeated = repeated


class ActionCompletedError(PaidError):
    """The action was completed before and does not pay again."""


class BadTicketError(GatewayError):
    """A valid ticket is needed."""

    def __init__(self, *, forged: bool = False) -> None:
        """Take whether a token was shown that this gateway did not make, or not for this."""
        super().__init__()
        self.forged = forged


class TicketExpiredError(GatewayError):
    """The ticket has expired."""


class TicketUsedError(PaidError):
    """The ticket was used before."""

    def __init__(self, payment: Payment | None, *, is_outside: bool = False) -> None:
        """Take what was given the first time, and whether an outside issuer has signed the ticket."""
        super().__init__(payment)
        self.is_outside = is_outside


class TicketDataMismatchError(GatewayError):
    """The ticket was given for another result."""

    def __init__(self, *, is_outside: bool = False) -> None:
        """Take whether an outside issuer has signed the ticket."""
        super().__init__()
        self.is_outside = is_outside


class TooFastError(GatewayError):
    """The action cannot be done this fast."""


class WrongAnswerError(GatewayError):
    """The answer is wrong."""

    def __init__(self, attempts_left: int) -> None:
        """Take how many more answers the token allows."""
        super().__init__()
        self.attempts_left = attempts_left


class ScoreLimitError(GatewayError):
    """The score has reached its limit."""


class ModeratorOnlyError(GatewayError):
    """This is for moderators."""


class PlayerNotFoundError(GatewayError):
    """There is no such player."""


class BoardNotFoundError(GatewayError):
    """There is no such leaderboard."""


class StandingNotFoundError(GatewayError):
    """The player has no points on this leaderboard."""


class AwardNotFoundError(GatewayError):
    """The leaderboard has no such award."""


class AwardReversedError(GatewayError):
    """The award was taken back before."""

    def __init__(self, reversal: Reversal | None) -> None:
        """Take the reversal that stands, if it is known."""
        super().__init__()
        self.reversal = reversal


class AwardArchivedError(GatewayError):
    """The award is archived, and cannot be taken back any more."""


class PlanStaleError(GatewayError):
    """The leaderboard has changed since the plan was made. Plan again."""


class ScoreServiceDeniedError(GatewayError):
    """The score service does not let this gateway do this. Its policy has to allow it, on this board."""

    def __init__(self, methods: Sequence[str]) -> None:
        """Take the methods that the policy has to allow, as it names them."""
        super().__init__()
        self.methods = tuple(methods)


class RateLimitedError(GatewayError):
    """Too many requests."""

    def __init__(self, retry_after: float, limit: str | None = None) -> None:
        """Take the seconds after which a request has a chance again, and which of `limits.LIMITS` rejects.

        None stands for what no player has reached: a process that has no room for anybody's request, and an
        outside issuer that has nothing left to give.
        """
        super().__init__()
        self.retry_after = retry_after
        self.limit = limit


class UnavailableError(GatewayError):
    """A part that this needs is unavailable. Try again; no token is used up by that."""

    def __init__(self, retry_after: float = 1.0) -> None:
        """Take the seconds after which to try again."""
        super().__init__()
        self.retry_after = retry_after


class NotFoundError(GatewayError):
    """There is nothing here."""


class MethodNotAllowedError(GatewayError):
    """This cannot be done here."""


class UnsupportedMediaTypeError(GatewayError):
    """The body must be application/json."""


class HeadersTooLargeError(GatewayError):
    """The headers are too large."""


class BodyTooLargeError(GatewayError):
    """The body is too large."""


class BodyTooSlowError(GatewayError):
    """The body did not come in time."""


def translate(error: score.ScoreClientError) -> GatewayError:
    """Translate a failure of the score service for the request at hand.

    A GatewayError of no kind stands for what should not happen: the gateway is set up wrongly.
    """
    match error:
        case score.UnavailableError() | score.QuotaExceededError():
            return UnavailableError(error.retry_after or 1.0)
        case score.ServiceFaultError() | score.NotAuthenticatedError(reason="CERTIFICATE_EXPIRED"):
            return UnavailableError()
        case score.TotalOutOfRangeError():
            return ScoreLimitError()
        case score.PeriodUnknownError():
            return PeriodUnknownError()
        case score.InvalidRequestError():
            return InvalidRequestError({_to_camel(field): fault for field, fault in error.fields.items()})
    return GatewayError()


def _to_camel(field: str) -> str:
    """Name a field of the score service's API, such as `filter.action_id`, as ours does."""
    return ".".join(to_camel(part) for part in field.split("."))


def translate_denial(error: score.ScoreClientError, method: str) -> GatewayError:
    """Translate the same for a call that some policies or versions of the score service do not allow."""
    if isinstance(error, score.NotAllowedError) or error.reason == "UNIMPLEMENTED":
        return ScoreServiceDeniedError([method])
    return translate(error)
